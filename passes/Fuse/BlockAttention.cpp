//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Block attention: the matrix of each query's weight on each key is nowhere
// stored. Which ops make and read it is said by findAttention; here is decided
// how many rows a block has, and where its loops stand.
//
//===----------------------------------------------------------------------===//

#include "../Divisor.h"
#include "Attention.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINBLOCKATTENTION
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
struct BlockAttention : plait::impl::TrainBlockAttentionBase<BlockAttention> {
  using Base::Base;
  void runOnOperation() override;

private:
  linalg::LinalgOp findNext();
  int64_t chooseRows(const Attention &attention);
  void block(RewriterBase &rewriter, linalg::LinalgOp scores);

  DenseSet<Operation *> seen;
};
} // namespace

/// Bytes of what `op` gives, if it may be the scores of an attention: a product of
/// batches whose result is larger than both operands.
static int64_t bytesOfScores(linalg::LinalgOp op) {
  if (!linalg::isaContractionOpInterface(op) || !op.hasPureTensorSemantics() ||
      op.hasDynamicShape() || op.getNumParallelLoops() < 3)
    return 0;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (!type.getElementType().isF32())
    return 0;
  for (OpOperand *input : op.getDpsInputOperands())
    if (cast<ShapedType>(input->get().getType()).getNumElements() >
        type.getNumElements())
      return 0;
  return 4 * type.getNumElements();
}

/// Rows of a block: as many as the options allow, and a divisor, if there is a
/// good one, for what is left over has code of its own. Shapes alone decide.
int64_t BlockAttention::chooseRows(const Attention &attention) {
  // Matrices are on the stacks of the threads, which have 4 MiB at least.
  constexpr int64_t kTile = 8, kStackBytes = 3 << 20;
  int64_t limit =
      std::min<int64_t>(blockRows, blockBytes / (4 * attention.cols));
  for (const AttentionStage &stage : attention.stages)
    limit = std::min(limit, kStackBytes / bytesOfRow(attention, stage));
  limit = std::clamp<int64_t>(limit, 1, attention.rows);
  int64_t divisor = largestDivisor(attention.rows, limit);
  if (2 * divisor > limit)
    return divisor;
  int64_t blocks = llvm::divideCeil(attention.rows, limit);
  int64_t rows = llvm::divideCeil(attention.rows, blocks);
  return std::min<int64_t>(llvm::alignTo(rows, kTile), limit);
}

//===----------------------------------------------------------------------===//
// Where
//===----------------------------------------------------------------------===//

/// The last op that `stage` depends on; null if all are outside of the block.
static Operation *findLastOperand(const AttentionStage &stage) {
  Block *block = stage.ops.front()->getBlock();
  llvm::SmallPtrSet<Operation *, 32> inside(stage.ops.begin(), stage.ops.end());
  Operation *last = nullptr;
  auto see = [&](Value value) {
    Operation *def = value.getDefiningOp();
    def = def ? block->findAncestorOpInBlock(*def) : nullptr;
    if (def && !inside.contains(def) && (!last || last->isBeforeInBlock(def)))
      last = def;
  };
  for (Operation *op : stage.ops)
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (auto fill = operand.getDefiningOp<linalg::FillOp>())
          see(fill.value());
        else if (!operand.getDefiningOp<tensor::EmptyOp>())
          see(operand);
    });
  return last;
}

/// Moves what uses the results and is before `last` behind `point`. The stage does
/// not depend on it: it would be a later one.
static void moveUsersBehind(const AttentionStage &stage, Operation *last,
                            Operation *point) {
  llvm::SmallPtrSet<Operation *, 32> inside(stage.ops.begin(), stage.ops.end());
  llvm::SetVector<Operation *> late;
  Block *block = last->getBlock();
  for (Operation *op = stage.ops.front(); op != last; op = op->getNextNode()) {
    bool isLate = false;
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *def = operand.getDefiningOp();
        def = def ? block->findAncestorOpInBlock(*def) : nullptr;
        isLate |=
            def && def != op &&
            (late.contains(def) || llvm::is_contained(stage.results, operand));
      }
    });
    if (isLate && !inside.contains(op))
      late.insert(op);
  }
  for (Operation *op : late) {
    op->moveAfter(point);
    point = op;
  }
}

/// Computes `stage` in blocks, and uses what they give.
static void emitStage(RewriterBase &rewriter, const Attention &attention,
                      const AttentionStage &stage, int64_t blockRows) {
  Operation *last = findLastOperand(stage);
  if (last)
    rewriter.setInsertionPointAfter(last);
  else
    rewriter.setInsertionPointToStart(stage.ops.front()->getBlock());
  SmallVector<Value> outs;
  for (OpResult result : stage.results) {
    auto type = cast<RankedTensorType>(result.getType());
    outs.push_back(tensor::EmptyOp::create(
        rewriter, result.getLoc(), type.getShape(), type.getElementType()));
  }
  emitBlocks(rewriter, attention, stage, blockRows, outs);
  if (last && stage.ops.front()->isBeforeInBlock(last))
    moveUsersBehind(stage, last, outs.front().getDefiningOp());
  for (auto [result, out] : llvm::zip_equal(stage.results, outs))
    rewriter.replaceAllUsesWith(result, out);
}

/// What is not read any more goes, last readers first.
static void eraseParts(RewriterBase &rewriter, const Attention &attention) {
  SmallVector<Operation *> ops = llvm::map_to_vector(
      attention.parts, [](auto &part) { return part.first; });
  llvm::sort(ops,
             [](Operation *a, Operation *b) { return b->isBeforeInBlock(a); });
  for (Operation *op : ops)
    if (op->use_empty())
      rewriter.eraseOp(op);
}

//===----------------------------------------------------------------------===//
// Which
//===----------------------------------------------------------------------===//

/// The next candidate that was not seen before.
linalg::LinalgOp BlockAttention::findNext() {
  linalg::LinalgOp found;
  getOperation()->walk([&](linalg::LinalgOp op) {
    if (op->getParentOfType<scf::ForallOp>() ||
        bytesOfScores(op) < std::max<int64_t>(minBytes, 1) ||
        !seen.insert(op).second)
      return WalkResult::advance();
    found = op;
    return WalkResult::interrupt();
  });
  return found;
}

void BlockAttention::block(RewriterBase &rewriter, linalg::LinalgOp scores) {
  auto opts = remark::RemarkOpts::name("block-attention")
                  .category("train-block-attention");
  std::string reason;
  FailureOr<Attention> attention = findAttention(scores, reason);
  if (failed(attention)) {
    remark::missed(scores.getLoc(), opts)
        << "the result of a product of batches is stored: " + reason;
    return;
  }
  int64_t rows = chooseRows(*attention);
  remark::passed(scores.getLoc(), opts)
      << "attention in blocks of " + std::to_string(rows) + " of " +
             std::to_string(attention->rows) + " rows";
  for (const AttentionStage &stage : attention->stages)
    emitStage(rewriter, *attention, stage, rows);
  eraseParts(rewriter, *attention);
}

void BlockAttention::runOnOperation() {
  IRRewriter rewriter(&getContext());
  // One by one, for each erases others: the gradient of the weights is a product
  // as large as the scores.
  while (linalg::LinalgOp scores = findNext())
    block(rewriter, scores);
}
