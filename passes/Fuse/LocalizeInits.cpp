//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Localize inits: one private tensor.empty and linalg.fill for each consumer.
//
// CSE shares the zeros of products of equal shape; then the first product's
// destination must be copied before the second can use it, and neither can take
// its fill into its loop. This undoes the sharing, and must be the last word
// before tiling and again before bufferization.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINLOCALIZEINITS
#include "plait/Passes.h.inc"
} // namespace plait

/// Gives every use of `op` after the first its own clone, next to the user.
static void cloneForUses(Operation *op) {
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : op->getUses())
    uses.push_back(&use);
  if (uses.empty())
    return;
  for (OpOperand *use : llvm::drop_begin(uses)) {
    OpBuilder b(use->getOwner());
    use->set(b.clone(*op)->getResult(0));
  }
  if (uses.front()->getOwner()->getBlock() == op->getBlock())
    op->moveBefore(uses.front()->getOwner());
}

void plait::localizeInits(Operation *root) {
  // Fills first: their clones need empties of their own.
  SmallVector<Operation *> fills, empties;
  root->walk([&](linalg::FillOp op) {
    if (op.getNumResults())
      fills.push_back(op);
  });
  for (Operation *op : fills)
    cloneForUses(op);
  root->walk([&](tensor::EmptyOp op) { empties.push_back(op); });
  for (Operation *op : empties)
    cloneForUses(op);
}

namespace {
struct LocalizeInits : plait::impl::TrainLocalizeInitsBase<LocalizeInits> {
  void runOnOperation() override { plait::localizeInits(getOperation()); }
};
} // namespace
