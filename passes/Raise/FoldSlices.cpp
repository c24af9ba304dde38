//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fold slices: an op that works on every second element of a tensor, or on a
// part of it, reads the tensor through its indexing map. A slice between two
// elementwise ops keeps them apart, and a pooling window is made of slices.
//
// Also named transposes become generic ops, if a generic op makes what they
// read: then the two are elementwise ops that can be one.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINFOLDSLICES
#include "plait/Passes.h.inc"
} // namespace plait

/// Whether the slice takes the first elements of a dimension: a map would be a
/// loop alone, and the loop must then run over all of the dimension.
static bool takesFront(tensor::ExtractSliceOp slice) {
  llvm::SmallBitVector dropped = slice.getDroppedDims();
  for (auto [i, extent] : llvm::enumerate(slice.getSourceType().getShape()))
    if (!dropped[i] && slice.getStaticOffset(i) == 0 &&
        slice.getStaticStride(i) == 1 && slice.getStaticSize(i) != extent)
      return true;
  return false;
}

/// Where in the source element (d0, d1, ...) of a slice is. Fails for a slice
/// that is not static.
static FailureOr<AffineMap> mapOfSlice(tensor::ExtractSliceOp slice) {
  if (ShapedType::isDynamicShape(slice.getStaticOffsets()) ||
      ShapedType::isDynamicShape(slice.getStaticStrides()) ||
      !slice.getType().hasStaticShape() ||
      !slice.getSourceType().hasStaticShape() || takesFront(slice))
    return failure();
  MLIRContext *context = slice.getContext();
  llvm::SmallBitVector dropped = slice.getDroppedDims();
  SmallVector<AffineExpr> exprs;
  unsigned next = 0;
  for (auto [i, offset] : llvm::enumerate(slice.getStaticOffsets())) {
    AffineExpr place = getAffineConstantExpr(offset, context);
    if (!dropped[i])
      place = place +
              getAffineDimExpr(next++, context) * slice.getStaticStrides()[i];
    exprs.push_back(place);
  }
  return AffineMap::get(next, 0, exprs, context);
}

/// Products and convolutions are known by their maps.
static bool isReadThroughMaps(linalg::GenericOp op) {
  return !linalg::isaContractionOpInterface(op) &&
         !linalg::isaConvolutionOpInterface(op);
}

namespace {
struct FoldSliceIntoReader : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    if (!isReadThroughMaps(op))
      return rewriter.notifyMatchFailure(op, "a product or convolution");
    for (OpOperand *operand : op.getDpsInputOperands()) {
      auto slice = operand->get().getDefiningOp<tensor::ExtractSliceOp>();
      // Slices of parameters are views that the analysis of updates knows.
      if (!slice || !slice.getSource().getDefiningOp<linalg::LinalgOp>())
        continue;
      FailureOr<AffineMap> place = mapOfSlice(slice);
      if (failed(place))
        continue;
      unsigned index = operand->getOperandNumber();
      SmallVector<AffineMap> maps = op.getIndexingMapsArray();
      maps[index] = simplifyAffineMap(place->compose(maps[index]));
      // The extent of each loop must still be known from another operand.
      if (!inversePermutation(concatAffineMaps(maps, rewriter.getContext())))
        continue;
      rewriter.modifyOpInPlace(op, [&] {
        operand->set(slice.getSource());
        op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
      });
      return success();
    }
    return rewriter.notifyMatchFailure(op,
                                       "reads no slice of a computed value");
  }
};

struct GeneralizeTranspose : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto producer = op.getInput().getDefiningOp<linalg::GenericOp>();
    if (!producer || !producer->hasOneUse() ||
        producer.getNumParallelLoops() != producer.getNumLoops())
      return rewriter.notifyMatchFailure(op,
                                         "no elementwise op makes its input");
    return linalg::generalizeNamedOp(rewriter, op);
  }
};

struct FoldSlices : plait::impl::TrainFoldSlicesBase<FoldSlices> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldSliceIntoReader, GeneralizeTranspose>(&getContext());
    if (failed(applyPatternsGreedily(
            getOperation(), std::move(patterns),
            GreedyRewriteConfig().enableConstantCSE(false))))
      signalPassFailure();
  }
};
} // namespace
