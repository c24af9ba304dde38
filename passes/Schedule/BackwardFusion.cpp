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
#include "Producers.h"
#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/IR/Remarks.h"

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
  if (update->hasAttr(TrainDialect::kApartAttr)) {
    report(name, loc, true,
           "is next to its gradient, which is stored: that costs less than one "
           "loop nest");
    return;
  }
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
