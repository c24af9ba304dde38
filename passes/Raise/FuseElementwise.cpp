//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fuse elementwise ops: upstream's patterns, and the question which pairs of
// ops they may join. Upstream's own pass, made for testing, joins pairs that
// give wrong numbers, and takes apart products.
//
// A little arithmetic on one tensor is repeated for each of its readers, which
// then read that tensor: the normalized input of a batch-norm is nowhere stored.
//
//===----------------------------------------------------------------------===//

#include "../Products.h"
#include "OneHot.h"
#include "Replaceable.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINFUSEELEMENTWISE
#include "plait/Passes.h.inc"
} // namespace plait

/// The fused op keeps the destination of a producer that reads it. Loops that
/// the producer does not have then accumulate into it over and over.
static bool readsItsDestination(Operation *producer) {
  auto op = dyn_cast<linalg::LinalgOp>(producer);
  return op && llvm::any_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
           return op.payloadUsesValueFromOperand(&init);
         });
}

/// A product is lowered to register tiles only as long as it is one.
static bool isProduct(Operation *op) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp && isProductOfMatrices(linalgOp);
}

static int64_t countIterations(linalg::LinalgOp op) {
  return ShapedType::getNumElements(op.getStaticLoopRanges());
}

/// Whether the body is a little arithmetic, of at most `maxOps` ops: it costs
/// less than to store its result and to read it again.
static bool isCheap(linalg::LinalgOp op, int64_t maxOps) {
  int64_t count = 0;
  for (Operation &inner : op.getBlock()->without_terminator()) {
    bool isArith = isa<arith::ArithDialect>(inner.getDialect());
    if ((!isArith && !isa<linalg::IndexOp>(inner)) ||
        isa<arith::DivFOp, arith::DivSIOp, arith::DivUIOp, arith::RemFOp,
            arith::RemSIOp, arith::RemUIOp>(inner) ||
        ++count > maxOps)
      return false;
  }
  return true;
}

/// Whether a loop over more elements than `producer` has repeats its work.
static bool repeatsWork(linalg::LinalgOp producer, linalg::LinalgOp consumer) {
  constexpr int64_t kFewOps = 4;
  if (producer.hasDynamicShape() || consumer.hasDynamicShape())
    return false;
  return countIterations(consumer) > 2 * countIterations(producer) &&
         !isCheap(producer, kFewOps);
}

static bool mayFuse(OpOperand *use) {
  Operation *producer = use->get().getDefiningOp();
  if (!producer || !producer->hasOneUse() || readsItsDestination(producer) ||
      isProduct(producer) || isProduct(use->getOwner()))
    return false;
  auto from = dyn_cast<linalg::LinalgOp>(producer);
  auto to = dyn_cast<linalg::LinalgOp>(use->getOwner());
  return !from || !to || !repeatsWork(from, to);
}

//===----------------------------------------------------------------------===//
// Recomputing
//===----------------------------------------------------------------------===//

/// Whether each use of `op` can be a copy of its own, and no more is read than
/// was: of the tensors that `op` reads, one at most is as large as its result.
static bool isWorthRepeating(linalg::GenericOp op) {
  constexpr int64_t kMaxOps = 32;
  if (op->hasOneUse() || op.use_empty() || op->getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() || readsItsDestination(op) ||
      !isCheap(op, kMaxOps))
    return false;
  int64_t count = countIterations(op);
  SmallPtrSet<Value, 2> large;
  for (Value input : op.getInputs()) {
    auto type = dyn_cast<RankedTensorType>(input.getType());
    if (!type)
      continue;
    if (mayBeReplaced(input))
      return false;
    if (2 * type.getNumElements() >= count)
      large.insert(input);
  }
  return large.size() <= 1 && llvm::all_of(op->getUses(), [&](OpOperand &use) {
           auto reader = dyn_cast<linalg::GenericOp>(use.getOwner());
           return reader && reader->getBlock() == op->getBlock() &&
                  !reader.hasDynamicShape() &&
                  countIterations(reader) <= 2 * count &&
                  !isProductOfMatrices(reader) &&
                  linalg::areElementwiseOpsFusable(&use);
         });
}

/// Gives each use of an op that is worth repeating a copy of its own. Returns
/// whether there was one.
static bool repeatCheapOps(Operation *root) {
  SmallVector<linalg::GenericOp> ops;
  root->walk([&](linalg::GenericOp op) {
    if (op.hasPureTensorSemantics() && !op.hasDynamicShape() &&
        isWorthRepeating(op))
      ops.push_back(op);
  });
  for (linalg::GenericOp op : ops) {
    OpBuilder b(op);
    for (OpOperand &use :
         llvm::make_early_inc_range(llvm::drop_begin(op->getUses())))
      use.set(b.clone(*op)->getResult(0));
  }
  return !ops.empty();
}

namespace {
struct FuseElementwise
    : plait::impl::TrainFuseElementwiseBase<FuseElementwise> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    linalg::populateElementwiseOpsFusionPatterns(patterns, mayFuse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns, mayFuse);
    linalg::populateConstantFoldLinalgOperations(patterns, mayFuse);
    tensor::populateBubbleUpExpandShapePatterns(patterns);
    affine::AffineApplyOp::getCanonicalizationPatterns(patterns, context);
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, context);
    context->getLoadedDialect<linalg::LinalgDialect>()
        ->getCanonicalizationPatterns(patterns);
    FrozenRewritePatternSet frozen(std::move(patterns));
    // What follows a fusion are more fusions further down.
    auto config = GreedyRewriteConfig().setUseTopDownTraversal(true);
    do {
      if (failed(applyPatternsGreedily(getOperation(), frozen, config)))
        return signalPassFailure();
    } while (repeatCheapOps(getOperation()) ||
             pickSelectedTerms(getOperation()));
  }
};
} // namespace
