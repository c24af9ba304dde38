//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Replacement: the order of reads and updates in one block, asked op by op,
// so that it holds while passes move ops.
//
//===----------------------------------------------------------------------===//

#include "plait/Analysis/Replacement.h"

#include "plait/Analysis/Aliases.h"
#include "plait/Dialect/Train/Train.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

SmallVector<Value> plait::getReplacedValues(Operation *op) {
  if (auto update = dyn_cast<UpdateOpInterface>(op))
    return SmallVector<Value>(update.getDpsInits());
  SmallVector<Value> values;
  if (auto cluster = dyn_cast<ClusterOp>(op))
    for (auto update : cluster.getBody().getOps<UpdateOpInterface>())
      for (Value old : update.getDpsInits())
        if (auto arg = dyn_cast<BlockArgument>(old))
          values.push_back(cluster.getInputs()[arg.getArgNumber()]);
  return values;
}

Operation *plait::findReplacement(Operation *reader, Operation *end) {
  for (Operation *op = reader->getNextNode(); op && op != end;
       op = op->getNextNode())
    for (Value old : getReplacedValues(op))
      for (Value alias : collectAliases(old))
        if (llvm::any_of(alias.getUsers(), [&](Operation *user) {
              return reader->isAncestor(user);
            }))
          return op;
  return nullptr;
}

Operation *plait::findLateReader(Operation *op) {
  Operation *last = nullptr;
  for (Value old : getReplacedValues(op))
    for (Value alias : collectAliases(old))
      for (Operation *user : alias.getUsers()) {
        Operation *inBlock = op->getBlock()->findAncestorOpInBlock(*user);
        if (!inBlock || isView(user) || !op->isBeforeInBlock(inBlock) ||
            inBlock->hasTrait<OpTrait::IsTerminator>())
          continue;
        if (!last || last->isBeforeInBlock(inBlock))
          last = inBlock;
      }
  return last;
}
