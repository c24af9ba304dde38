//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Merge siblings: two ops that walk over the same large tensor in the same way
// become one op with both results. A batch-norm's gradient needs two sums over
// its input, a pooling window its maximum and where that is.
//
//===----------------------------------------------------------------------===//

#include "../Products.h"
#include "Replaceable.h"

#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINMERGESIBLINGS
#include "plait/Passes.h.inc"
} // namespace plait

//===----------------------------------------------------------------------===//
// Which
//===----------------------------------------------------------------------===//

static bool isProduct(Operation *op) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp && (isProductOfMatrices(linalgOp) ||
                      linalg::isaConvolutionOpInterface(linalgOp));
}

/// Whether only an update uses `op`: the two become one loop nest.
static bool isGradient(Operation *op) {
  return llvm::all_of(op->getUsers(), llvm::IsaPred<train::UpdateOpInterface>);
}

static bool isCandidate(linalg::GenericOp op) {
  return op.hasPureTensorSemantics() && !op.hasDynamicShape() &&
         !isProduct(op) && !isGradient(op);
}

/// Whether both read one tensor with the same map, and it is as large as the
/// loops.
static bool shareLargeInput(linalg::GenericOp a, linalg::GenericOp b) {
  int64_t count = ShapedType::getNumElements(a.getStaticLoopRanges());
  for (OpOperand *in : a.getDpsInputOperands()) {
    auto type = dyn_cast<RankedTensorType>(in->get().getType());
    if (!type || type.getNumElements() < count)
      continue;
    for (OpOperand *other : b.getDpsInputOperands())
      if (other->get() == in->get() &&
          a.getMatchingIndexingMap(in) == b.getMatchingIndexingMap(other))
        return true;
  }
  return false;
}

/// Whether the loops are the same.
static bool walkAlike(linalg::GenericOp a, linalg::GenericOp b) {
  return a.getIteratorTypesArray() == b.getIteratorTypesArray() &&
         a.getStaticLoopRanges() == b.getStaticLoopRanges();
}

/// Whether `value` is there before `op`, or is an init that can be.
static bool canBeBefore(Value value, Operation *op) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != op->getBlock() || def->isBeforeInBlock(op))
    return true;
  return isa<tensor::EmptyOp, linalg::FillOp>(def) &&
         llvm::all_of(def->getOperands(),
                      [&](Value operand) { return canBeBefore(operand, op); });
}

static void moveBefore(Value value, Operation *op) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != op->getBlock() || def->isBeforeInBlock(op))
    return;
  def->moveBefore(op);
  for (Value operand : def->getOperands())
    moveBefore(operand, def);
}

/// What `op` reads, its body included.
static SmallVector<Value> valuesOf(linalg::GenericOp op) {
  SmallVector<Value> values(op->getOperands());
  op.getBody()->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (!op->isAncestor(operand.getParentBlock()->getParentOp()))
        values.push_back(operand);
  });
  return values;
}

/// Whether `b` can run where `a` does.
static bool canHoist(linalg::GenericOp a, linalg::GenericOp b) {
  return llvm::all_of(valuesOf(b),
                      [&](Value value) { return canBeBefore(value, a); });
}

/// Whether `a` can run where `b` does. Not if it would then read a parameter
/// later: its update would wait.
static bool canSink(linalg::GenericOp a, linalg::GenericOp b) {
  return llvm::none_of(valuesOf(a), mayBeReplaced) &&
         llvm::all_of(a->getUsers(), [&](Operation *user) {
           Operation *inBlock = a->getBlock()->findAncestorOpInBlock(*user);
           return inBlock && inBlock != b && b->isBeforeInBlock(inBlock);
         });
}

//===----------------------------------------------------------------------===//
// How
//===----------------------------------------------------------------------===//

/// One op for both, at the insertion point; what both read is read once.
static linalg::GenericOp merge(OpBuilder &builder, linalg::GenericOp a,
                               linalg::GenericOp b) {
  SmallVector<Value> inputs, inits;
  SmallVector<AffineMap> maps, initMaps;
  // For each block argument of a and b, which input or init it is.
  SmallVector<unsigned> inputOf[2];
  linalg::GenericOp ops[] = {a, b};
  for (auto [which, op] : llvm::enumerate(ops)) {
    for (OpOperand *in : op.getDpsInputOperands()) {
      AffineMap map = op.getMatchingIndexingMap(in);
      unsigned i = 0;
      while (i < inputs.size() && (inputs[i] != in->get() || maps[i] != map))
        ++i;
      if (i == inputs.size()) {
        inputs.push_back(in->get());
        maps.push_back(map);
      }
      inputOf[which].push_back(i);
    }
    for (OpOperand &init : op.getDpsInitsMutable()) {
      inits.push_back(init.get());
      initMaps.push_back(op.getMatchingIndexingMap(&init));
    }
  }
  llvm::append_range(maps, initMaps);
  Location loc = builder.getFusedLoc({a.getLoc(), b.getLoc()});
  return linalg::GenericOp::create(
      builder, loc, TypeRange(ValueRange(inits)), inputs, inits, maps,
      a.getIteratorTypesArray(),
      [&](OpBuilder &nested, Location, ValueRange args) {
        SmallVector<Value> yielded;
        unsigned nextInit = inputs.size();
        for (auto [which, op] : llvm::enumerate(ops)) {
          IRMapping map;
          for (auto [arg, i] :
               llvm::zip(op.getRegionInputArgs(), inputOf[which]))
            map.map(arg, args[i]);
          for (BlockArgument arg : op.getRegionOutputArgs())
            map.map(arg, args[nextInit++]);
          for (Operation &inner : op.getBody()->without_terminator())
            nested.clone(inner, map);
          for (Value value : op.getBody()->getTerminator()->getOperands())
            yielded.push_back(map.lookupOrDefault(value));
        }
        linalg::YieldOp::create(nested, loc, yielded);
      });
}

/// Merges `b` into `a`, which is before it; null if they stay apart.
static linalg::GenericOp tryMerge(linalg::GenericOp a, linalg::GenericOp b) {
  if (!walkAlike(a, b) || !shareLargeInput(a, b))
    return {};
  OpBuilder builder(a);
  if (canHoist(a, b)) {
    for (Value value : valuesOf(b))
      moveBefore(value, a);
  } else if (canSink(a, b)) {
    builder.setInsertionPoint(b);
  } else {
    return {};
  }
  linalg::GenericOp merged = merge(builder, a, b);
  unsigned results = a->getNumResults();
  a->replaceAllUsesWith(merged->getResults().take_front(results));
  b->replaceAllUsesWith(merged->getResults().drop_front(results));
  a->erase();
  b->erase();
  return merged;
}

/// A sibling of `op` behind it, up to the next product or update: what a
/// forward pass and its backward pass both make from a tensor stays apart, for
/// the latter would be kept for long.
static linalg::GenericOp mergeNext(linalg::GenericOp op) {
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode()) {
    if (isProduct(next) || isa<train::UpdateOpInterface>(next) ||
        (next->getNumRegions() && !isa<linalg::LinalgOp>(next)))
      return {};
    auto sibling = dyn_cast<linalg::GenericOp>(next);
    if (!sibling || !isCandidate(sibling))
      continue;
    if (linalg::GenericOp merged = tryMerge(op, sibling))
      return merged;
  }
  return {};
}

namespace {
struct MergeSiblings : plait::impl::TrainMergeSiblingsBase<MergeSiblings> {
  void runOnOperation() override {
    SmallVector<Block *> blocks;
    getOperation()->walk([&](Block *block) {
      if (!isa<linalg::LinalgOp>(block->getParentOp()))
        blocks.push_back(block);
    });
    for (Block *block : blocks)
      for (Operation *op = &block->front(); op;) {
        Operation *next = op->getNextNode();
        auto generic = dyn_cast<linalg::GenericOp>(op);
        linalg::GenericOp merged;
        if (generic && isCandidate(generic)) {
          // The merged op may have a third sibling.
          Operation *before = op->getPrevNode();
          merged = mergeNext(generic);
          if (merged)
            next = before ? before->getNextNode() : &block->front();
        }
        op = next;
      }
  }
};
} // namespace
