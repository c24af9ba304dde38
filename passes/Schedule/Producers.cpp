//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What can be in one loop nest with an update.
//
//===----------------------------------------------------------------------===//

#include "Producers.h"
#include "Cluster.h"
#include "plait/Analysis/Aliases.h"
#include "plait/Analysis/Replacement.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

/// Whether every use of `op` is by an op of `members`.
static bool usedOnlyBy(Operation *op,
                       const llvm::SetVector<Operation *> &members) {
  return llvm::all_of(op->getUsers(),
                      [&](Operation *user) { return members.contains(user); });
}

static bool isElementwise(linalg::LinalgOp op) {
  return op.getNumParallelLoops() == op.getNumLoops() &&
         !op.hasIndexSemantics() &&
         llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) {
           return map.isProjectedPermutation();
         });
}

/// Whether `producer` reads other elements of what `update` replaces than those
/// that one iteration replaces. In one nest with it, it would find some of them
/// new already: a gradient such as that of |W W^T|.
static bool readsAcrossPanels(linalg::LinalgOp producer,
                              UpdateOpInterface update) {
  for (Value old : update->getOperands().take_back(update->getNumResults()))
    for (Value view : collectAliases(old))
      for (OpOperand &use : view.getUses()) {
        if (!producer->isAncestor(use.getOwner()))
          continue;
        bool sameElement = view == old && use.getOwner() == producer &&
                           isElementwise(producer) &&
                           producer.getMatchingIndexingMap(&use).isIdentity();
        if (!sameElement)
          return true;
      }
  return false;
}

/// The op that makes `value`, where it can be in one loop nest with `update`:
/// it has as many elements as the parameter, and only `members` use it.
static linalg::LinalgOp
fusableProducer(Value value, UpdateOpInterface update,
                const llvm::SetVector<Operation *> &members,
                std::string &reason) {
  auto paramType = cast<RankedTensorType>(update.getParam().getType());
  auto producer = value.getDefiningOp<linalg::LinalgOp>();
  if (!producer || producer->getBlock() != update->getBlock() ||
      cast<RankedTensorType>(value.getType()).getNumElements() !=
          paramType.getNumElements()) {
    reason = "is made by no linalg op";
    return {};
  }
  if (!usedOnlyBy(producer, members)) {
    reason = "has other users";
    return {};
  }
  // In the nest, it would read what an update before it has replaced.
  if (findReplacement(producer, update)) {
    reason = "is made from a value that is replaced before";
    return {};
  }
  if (readsAcrossPanels(producer, update)) {
    reason = "is made from the old parameter as a whole";
    return {};
  }
  // Its sums are over images and pixels, which cost far more than what the
  // gradient's bytes would save, and each panel would gather the input anew.
  if (linalg::isaConvolutionOpInterface(producer)) {
    reason = "is made by a convolution";
    return {};
  }
  return producer;
}

FailureOr<llvm::SetVector<Operation *>>
plait::collectProducers(UpdateOpInterface update, std::string &reason) {
  llvm::SetVector<Operation *> members;
  members.insert(update);
  if (!update.isElementwise()) {
    reason = "is not fused: it reads the whole tensor, not tile by tile";
    return failure();
  }
  SmallVector<Value> worklist(update.getGradients());
  std::string why, ignored;
  for (size_t i = 0; i < worklist.size(); ++i) {
    bool isGradient = i < update.getGradients().size();
    auto producer = fusableProducer(worklist[i], update, members,
                                    isGradient ? why : ignored);
    if (!producer || !members.insert(producer))
      continue;
    if (isElementwise(producer) && !isInit(producer))
      for (OpOperand *in : producer.getDpsInputOperands())
        if (isa<RankedTensorType>(in->get().getType()))
          worklist.push_back(in->get());
  }
  if (members.size() > 1)
    return members;
  reason = "is not fused: its gradient " + why + ", so it is stored";
  return failure();
}
