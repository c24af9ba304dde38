//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks back from a tensor through everything that may hand on a buffer it was
// given: views, branches, loops, and destinations. Bufferization's own interface
// says what those are.
//
//===----------------------------------------------------------------------===//

#include "MayBeArgument.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"

using namespace mlir;

/// Whether an op on tensors computes each element anew. It gets its destination
/// when it becomes a structured op.
static bool isPlainArithmetic(Operation *op) {
  return op->hasTrait<OpTrait::Elementwise>() &&
         llvm::all_of(op->getOperandTypes(), llvm::IsaPred<TensorType>);
}

bool plait::mayBeArgument(Value value, Block *block,
                          llvm::function_ref<bool(BlockArgument)> counts) {
  bufferization::BufferizationOptions options;
  bufferization::AnalysisState state(options);
  SmallVector<Value> worklist = {value};
  llvm::DenseSet<Value> seen;
  while (!worklist.empty()) {
    Value next = worklist.pop_back_val();
    if (!isa<TensorType>(next.getType()) || !seen.insert(next).second)
      continue;
    if (isa<OpResult>(next)) {
      if (!isPlainArithmetic(next.getDefiningOp()))
        for (auto alias : state.getAliasingOpOperands(next))
          worklist.push_back(alias.opOperand->get());
      continue;
    }
    auto arg = cast<BlockArgument>(next);
    Block *owner = arg.getOwner();
    if (owner == block && counts(arg))
      return true;
    // What a loop inside of the block starts with.
    if (owner != block && block->findAncestorOpInBlock(*owner->getParentOp()))
      llvm::append_range(worklist, owner->getParentOp()->getOperands());
  }
  return false;
}

Value plait::copyOf(OpBuilder &b, Value value) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(value);
  return bufferization::AllocTensorOp::create(
             b, value.getLoc(), cast<RankedTensorType>(value.getType()),
             ValueRange(), value)
      .getResult();
}
