//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Aliases: followed from a tensor's uses. Ops are asked for what they compute
// anew, not for what they hand on: an op that is unknown here costs an update
// an earlier position, never a right result.
//
//===----------------------------------------------------------------------===//

#include "plait/Analysis/Aliases.h"

#include "plait/Dialect/Train/Train.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

bool plait::isView(Operation *op) {
  return isa<tensor::ExtractSliceOp, tensor::CastOp, tensor::CollapseShapeOp,
             tensor::ExpandShapeOp, tensor::ReshapeOp>(op);
}

/// Whether no result of `op` is an operand. Plain arithmetic on tensors is
/// Elementwise, and so is a selection of whole tensors by one i1, which is not.
static bool computesAnew(Operation *op) {
  if (op->hasTrait<OpTrait::Elementwise>())
    return llvm::all_of(op->getOperandTypes(), llvm::IsaPred<TensorType>);
  return isa<DestinationStyleOpInterface, tensor::ConcatOp,
             tensor::FromElementsOp, tensor::GatherOp, tensor::GenerateOp,
             tensor::PadOp, tensor::SplatOp>(op);
}

/// What a branch, a loop or the end of one makes of `use`.
static SmallVector<Value> handedOn(RegionBranchOpInterface branch,
                                   OpOperand &use) {
  RegionBranchSuccessorMapping mapping;
  branch.getSuccessorOperandInputMapping(mapping);
  return mapping.lookup(&use);
}

/// The values that may be what `use` uses.
static SmallVector<Value> aliasesBy(OpOperand &use) {
  Operation *op = use.getOwner(), *parent = op->getParentOp();
  unsigned index = use.getOperandNumber();
  if (auto cluster = dyn_cast<ClusterOp>(op))
    return {cluster.getBody().getArgument(index)};
  if (isView(op))
    return index == 0 ? SmallVector<Value>(op->getResults())
                      : SmallVector<Value>();
  if (computesAnew(op))
    return {};
  if (auto branch = dyn_cast<RegionBranchOpInterface>(op))
    return handedOn(branch, use);
  if (!op->hasTrait<OpTrait::IsTerminator>())
    return SmallVector<Value>(op->getResults());
  if (isa<FunctionOpInterface>(parent))
    return {};
  if (isa<ClusterOp>(parent))
    return {parent->getResult(index)};
  if (auto branch = dyn_cast<RegionBranchOpInterface>(parent))
    return handedOn(branch, use);
  return SmallVector<Value>(parent->getResults());
}

SmallVector<Value> plait::collectAliases(Value value) {
  llvm::SetVector<Value> aliases;
  aliases.insert(value);
  for (size_t i = 0; i < aliases.size(); ++i)
    for (OpOperand &use : aliases[i].getUses())
      for (Value alias : aliasesBy(use))
        if (isa<TensorType>(alias.getType()))
          aliases.insert(alias);
  return aliases.takeVector();
}
