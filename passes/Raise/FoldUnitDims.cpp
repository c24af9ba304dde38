//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fold unit dims: a reduction that keeps dimensions of extent 1, only to be
// reshaped, gives the reshaped tensor itself. torch-mlir computes the gradient
// of a bias so; between the reduction and the update the reshape would keep
// them out of one loop nest.
//
// Only reductions whose one use is such a reshape: dropping every unit
// dimension would put reshapes around the parameters that have some.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINFOLDUNITDIMS
#include "plait/Passes.h.inc"
} // namespace plait

/// Whether each group of dimensions that `op` makes one has at most one of
/// another extent than 1, so that the reshape only drops unit dimensions.
static bool dropsUnitDims(tensor::CollapseShapeOp op) {
  ArrayRef<int64_t> shape = op.getSrcType().getShape();
  return llvm::all_of(op.getReassociationIndices(), [&](auto &group) {
    return llvm::count_if(group, [&](int64_t d) { return shape[d] != 1; }) <= 1;
  });
}

namespace {
struct FoldReshapeIntoReduction : OpRewritePattern<tensor::CollapseShapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::CollapseShapeOp reshape,
                                PatternRewriter &rewriter) const override {
    auto op = reshape.getSrc().getDefiningOp<linalg::GenericOp>();
    if (!op || op.getNumResults() != 1 || !op->hasOneUse() ||
        op.getNumReductionLoops() == 0)
      return rewriter.notifyMatchFailure(
          reshape, "the source is no reduction of one use");
    if (!dropsUnitDims(reshape))
      return rewriter.notifyMatchFailure(reshape,
                                         "it joins dimensions of data");
    // 1. The result's map loses the dimensions that the reshape drops, and the
    //    loops of extent 1 that indexed them no longer index the result.
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
    SmallVector<AffineExpr> kept;
    ArrayRef<int64_t> shape = reshape.getSrcType().getShape();
    for (const ReassociationIndices &group :
         reshape.getReassociationIndices()) {
      const int64_t *data =
          llvm::find_if(group, [&](int64_t d) { return shape[d] != 1; });
      kept.push_back(
          maps.back().getResult(data == group.end() ? group.front() : *data));
    }
    for (AffineExpr expr : maps.back().getResults())
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        if (!llvm::is_contained(kept, expr))
          kinds[dim.getPosition()] = utils::IteratorType::reduction;
    maps.back() = AffineMap::get(maps.back().getNumDims(), 0, kept,
                                 rewriter.getContext());
    // The extent of each loop must still be known from the other operands: that
    // of a convolution's window is not, where only a sum indexes the input.
    if (!inversePermutation(concatAffineMaps(maps, rewriter.getContext())))
      return rewriter.notifyMatchFailure(reshape, "a loop's extent is lost");
    // 2. The reshape moves to the destination, where a fill takes it in.
    Value init = tensor::CollapseShapeOp::create(
        rewriter, reshape.getLoc(), reshape.getType(), op.getOutputs().front(),
        reshape.getReassociationIndices());
    auto generic =
        linalg::GenericOp::create(rewriter, op.getLoc(), reshape.getType(),
                                  op.getInputs(), init, maps, kinds);
    rewriter.inlineRegionBefore(op.getRegion(), generic.getRegion(),
                                generic.getRegion().begin());
    rewriter.replaceOp(reshape, generic);
    rewriter.eraseOp(op);
    return success();
  }
};

struct FoldUnitDims : plait::impl::TrainFoldUnitDimsBase<FoldUnitDims> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldReshapeIntoReduction>(&getContext());
    linalg::FillOp::getCanonicalizationPatterns(patterns, &getContext());
    tensor::populateFoldTensorEmptyPatterns(patterns);
    if (failed(applyPatternsGreedily(
            getOperation(), std::move(patterns),
            GreedyRewriteConfig().enableConstantCSE(false))))
      signalPassFailure();
  }
};
} // namespace
