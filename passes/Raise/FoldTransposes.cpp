//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fold transposes: a product reads the transposed tensor through its maps, and
// a product or reduction whose result is only transposed writes it transposed.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINFOLDTRANSPOSES
#include "plait/Passes.h.inc"
} // namespace plait

/// The tensor and permutation behind `value`, if a transpose makes it, as
/// linalg.transpose or as a generic that only copies.
static std::pair<Value, AffineMap> matchTranspose(Value value) {
  auto op = value.getDefiningOp<linalg::LinalgOp>();
  if (!op || op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops())
    return {};
  Block &body = op->getRegion(0).front();
  if (&body.front() != body.getTerminator() ||
      body.getTerminator()->getOperand(0) != body.getArgument(0))
    return {};
  AffineMap in = op.getIndexingMapsArray()[0],
            out = op.getIndexingMapsArray()[1];
  if (!in.isPermutation() || !out.isPermutation())
    return {};
  // Element out(i) of the result is element in(i) of the input.
  return {op->getOperand(0), in.compose(inversePermutation(out))};
}

namespace {
struct FoldIntoContraction : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!linalg::isaContractionOpInterface(op))
      return rewriter.notifyMatchFailure(op, "not a contraction");
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    SmallVector<Value> inputs;
    bool changed = false;
    for (OpOperand *operand : op.getDpsInputOperands()) {
      auto [source, permutation] = matchTranspose(operand->get());
      inputs.push_back(source ? source : operand->get());
      if (!source)
        continue;
      AffineMap &map = maps[operand->getOperandNumber()];
      map = permutation.compose(map);
      changed = true;
    }
    if (!changed)
      return rewriter.notifyMatchFailure(op, "no operand is a transpose");
    auto generic = linalg::GenericOp::create(
        rewriter, op.getLoc(), op->getResultTypes(), inputs, op.getDpsInits(),
        maps, op.getIteratorTypesArray());
    rewriter.cloneRegionBefore(op->getRegion(0), generic.getRegion(),
                               generic.getRegion().begin());
    rewriter.replaceOp(op, generic->getResults());
    return success();
  }
};

/// JAX computes dW^T and transposes it: between a gradient and its update there
/// would be a copy of the whole gradient.
struct FoldIntoProducer : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp transpose,
                                PatternRewriter &rewriter) const override {
    if (transpose->getNumResults() != 1)
      return rewriter.notifyMatchFailure(transpose, "not a transpose");
    auto [source, permutation] = matchTranspose(transpose->getResult(0));
    auto op = source ? source.getDefiningOp<linalg::LinalgOp>() : nullptr;
    if (!op || op.getNumReductionLoops() == 0 || op->getNumResults() != 1)
      return rewriter.notifyMatchFailure(transpose, "no product is transposed");
    if (!op->hasOneUse())
      return rewriter.notifyMatchFailure(transpose,
                                         "the product has other users");
    auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
    if (!fill)
      return rewriter.notifyMatchFailure(
          transpose, "the product adds to something that is not constant");
    rewriter.setInsertionPoint(op);
    auto type = cast<RankedTensorType>(transpose->getResult(0).getType());
    Value empty = tensor::EmptyOp::create(rewriter, fill.getLoc(), type, {});
    Value init =
        linalg::FillOp::create(rewriter, fill.getLoc(), fill.getInputs(), empty)
            .getResult(0);
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    maps.back() = inversePermutation(permutation).compose(maps.back());
    auto generic = linalg::GenericOp::create(
        rewriter, op.getLoc(), TypeRange(type), op.getDpsInputs(), init, maps,
        op.getIteratorTypesArray());
    rewriter.cloneRegionBefore(op->getRegion(0), generic.getRegion(),
                               generic.getRegion().begin());
    rewriter.replaceOp(transpose, generic);
    rewriter.eraseOp(op);
    return success();
  }
};

struct FoldTransposes : plait::impl::TrainFoldTransposesBase<FoldTransposes> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldIntoContraction, FoldIntoProducer>(&getContext());
    if (failed(applyPatternsGreedily(
            getOperation(), std::move(patterns),
            GreedyRewriteConfig().enableConstantCSE(false))))
      signalPassFailure();
  }
};
} // namespace
