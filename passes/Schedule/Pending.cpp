//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Choosing and collecting what waits: a gradient, or its factors.
//
//===----------------------------------------------------------------------===//

#include "Pending.h"
#include "../Panels.h"
#include "Cluster.h"
#include "Producers.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

SmallVector<UpdateOpInterface>
plait::collectForwardUpdates(FunctionOpInterface step) {
  SmallVector<UpdateOpInterface> updates;
  step.walk([&](UpdateOpInterface update) {
    auto placement =
        update->getAttrOfType<PlacementAttr>(TrainDialect::kPlacementAttr);
    if (placement && placement.getValue() == Placement::Forward)
      updates.push_back(update);
  });
  return updates;
}

static bool isReplaced(Value value) {
  auto arg = dyn_cast<BlockArgument>(value);
  if (!arg)
    return false;
  auto step = cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
  return llvm::any_of(llvm::seq(step.getNumResults()), [&](unsigned i) {
    return getCarriedArg(step, i) == arg;
  });
}

/// Whether what makes the gradient has fewer bytes than it. Then that waits
/// instead, and the gradient is made where it is applied: for a layer that sees
/// few rows, the rows that went in and those that came back.
static bool areFactorsSmaller(UpdateOpInterface update,
                              ArrayRef<Operation *> members) {
  auto bytesOf = [](RankedTensorType type) {
    return type.getNumElements() * elementBytes(type);
  };
  llvm::SetVector<Value> inputs = collectClusterInputs(members);
  int64_t saved = 0;
  for (Value gradient :
       llvm::SetVector<Value>(llvm::from_range, update.getGradients()))
    if (!inputs.contains(gradient))
      saved += bytesOf(cast<RankedTensorType>(gradient.getType()));
  for (Value input : inputs) {
    if (llvm::is_contained(update->getOperands(), input))
      continue;
    // Tensors cross the boundary of a step, and nothing else does.
    auto type = dyn_cast<RankedTensorType>(input.getType());
    if (!type || !type.hasStaticShape() ||
        !type.getElementType().isIntOrFloat())
      return false;
    // The step replaces it, so it would have to be copied.
    if (isReplaced(input))
      return false;
    saved -= bytesOf(type);
  }
  return saved > 0;
}

void plait::waitWithProducers(ArrayRef<UpdateOpInterface> updates) {
  for (UpdateOpInterface update : updates) {
    std::string reason;
    auto members = collectProducers(update, reason);
    if (succeeded(members) && areFactorsSmaller(update, members->getArrayRef()))
      wrapIntoCluster(members->getArrayRef(), Placement::Backward);
  }
}

SmallVector<Waiting> plait::collectWaiting(FunctionOpInterface step) {
  SmallVector<Waiting> waiting;
  for (UpdateOpInterface update : collectForwardUpdates(step)) {
    auto cluster = update->getParentOfType<ClusterOp>();
    Waiting &w = waiting.emplace_back(
        Waiting{update, cluster ? cluster.getOperation() : update, {}});
    for (Value old : update.getDpsInits())
      w.olds.push_back(
          cluster ? cluster.getInputs()[cast<BlockArgument>(old).getArgNumber()]
                  : old);
  }
  return waiting;
}

PendingValues plait::collectPending(ArrayRef<Waiting> waiting) {
  PendingValues pending;
  for (const Waiting &w : waiting)
    for (auto [i, value] : llvm::enumerate(w.op->getOperands())) {
      if (llvm::is_contained(w.olds, value) ||
          !pending.indices.try_emplace(value, pending.values.size()).second)
        continue;
      Builder b(w.op->getContext());
      pending.values.push_back(
          {value, PendingAttr::get(b.getContext(),
                                   b.getStringAttr(getParamName(w.update)),
                                   b.getStringAttr("in" + Twine(i)))});
    }
  return pending;
}

void plait::takePending(const Waiting &waiting, const PendingValues &pending,
                        ValueRange args) {
  for (OpOperand &operand : waiting.op->getOpOperands())
    if (!llvm::is_contained(waiting.olds, operand.get()))
      operand.set(args[pending.indices.at(operand.get())]);
}
