//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Backward fusion: each update moves to where its window starts, and is put
// into one cluster with the op that makes its gradient.
//
// "Where the window starts" is after the last reader of the old value as well
// as after the gradient: torch's graphs compute dX (which reads W) before dW,
// JAX's after.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "plait/Analysis/Aliases.h"
#include "plait/Analysis/Replacement.h"
#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINBACKWARDFUSION
#include "plait/Passes.h.inc"
} // namespace plait

static void report(StringRef param, Location loc, bool fused,
                   const Twine &reason) {
  auto opts = remark::RemarkOpts::name("backward-fusion")
                  .category("train-backward-fusion")
                  .function(param);
  std::string text = ("update of \"" + param + "\" " + reason).str();
  if (fused)
    remark::passed(loc, opts) << text;
  else
    remark::missed(loc, opts) << text;
}

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

/// The ops that make the gradients, back to the products or reductions they
/// start from: what can be in one loop nest with the update. Of several
/// gradients, those that cannot be there are stored, and read tile by tile.
/// Fails, with a reason, where that is all of them.
static FailureOr<llvm::SetVector<Operation *>>
collectProducers(UpdateOpInterface update, std::string &reason) {
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

/// Moves `update` to where its window starts. The gradient's producers follow
/// it into the cluster; an update that cannot be fused still moves.
static void moveToWindowStart(UpdateOpInterface update,
                              const UpdateDependence &dependence) {
  Bound earliest = dependence.getWindow(update).earliest;
  if (earliest.op)
    update->moveAfter(earliest.op);
  else
    update->moveBefore(&update->getBlock()->front());
}

static void fuseOne(UpdateOpInterface update,
                    const UpdateDependence &dependence) {
  moveToWindowStart(update, dependence);
  StringRef name = getParamName(update);
  Location loc = update.getLoc();
  std::string reason;
  auto members = collectProducers(update, reason);
  if (failed(members)) {
    report(name, loc, false, "moved to its gradient, but " + Twine(reason));
    return;
  }
  wrapIntoCluster(members->getArrayRef(), Placement::Backward);
  report(name, loc, true, "is in one loop nest with its gradient");
}

void plait::fuseBackward(FunctionOpInterface step) {
  SmallVector<UpdateOpInterface> updates;
  step.walk([&](UpdateOpInterface update) {
    auto placement =
        update->getAttrOfType<PlacementAttr>(TrainDialect::kPlacementAttr);
    if (placement && placement.getValue() == Placement::Backward &&
        update->getBlock() == &step.getFunctionBody().front())
      updates.push_back(update);
  });
  // Windows name ops, and fusing replaces ops: ask again for each update.
  for (UpdateOpInterface update : updates)
    fuseOne(update, UpdateDependence(step));
}

namespace {
struct BackwardFusion : plait::impl::TrainBackwardFusionBase<BackwardFusion> {
  void runOnOperation() override {
    if (isTrainingStep(getOperation()))
      fuseBackward(getOperation());
  }
};
} // namespace
