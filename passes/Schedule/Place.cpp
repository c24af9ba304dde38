//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Place: decides where each update runs, and, for the policy `auto`, whether it
// is one loop nest with its gradient (FusionCost.h). It writes the decision on
// the update and moves nothing: see BackwardFusion.cpp and ForwardFusion.cpp.
//
//===----------------------------------------------------------------------===//

#include "FusionCost.h"
#include "Producers.h"
#include "plait/Analysis/Legality.h"
#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINPLACE
#include "plait/Passes.h.inc"
} // namespace plait

static remark::RemarkOpts remarkOpts(UpdateOpInterface update) {
  return remark::RemarkOpts::name("placement")
      .category("train-place")
      .function(getParamName(update));
}

/// The reason why `update` cannot be placed by `policy`; empty where it can.
static std::string whyNot(UpdateOpInterface update, Placement policy,
                          const UpdateDependence &dependence) {
  if (policy == Placement::Baseline)
    return "";
  if (std::string reason = whyNotMove(update); !reason.empty())
    return reason;
  if (policy == Placement::Forward)
    return whyNotWait(update);
  if (!dependence.getWindow(update).isLegal())
    return dependence.explain(update) + "; no earlier position is legal";
  if (!dependence.getOtherGradients(update).empty())
    return dependence.explain(update) +
           "; it stays after them (policy=forward can place it)";
  return "";
}

/// What a remark says of an update that is placed.
static std::string placed(UpdateOpInterface update, Placement policy,
                          const UpdateDependence &dependence) {
  std::string text = policy == Placement::Backward
                         ? dependence.explain(update) + ";"
                         : ("update of \"" + getParamName(update) + "\"").str();
  return text + " placed: " + stringifyPlacement(policy).str();
}

std::optional<Placement> plait::parsePolicy(StringRef policy) {
  if (policy == "auto")
    return Placement::Backward;
  return symbolizePlacement(policy);
}

void plait::placeUpdates(FunctionOpInterface step, Placement policy,
                         const UpdateDependence &dependence) {
  for (UpdateOpInterface update : dependence.getUpdates()) {
    std::string reason = whyNot(update, policy, dependence);
    if (!reason.empty())
      remark::missed(update.getLoc(), remarkOpts(update)) << reason;
    else
      remark::passed(update.getLoc(), remarkOpts(update))
          << placed(update, policy, dependence);
    update->removeAttr(TrainDialect::kApartAttr); // of an earlier decision
    update->setAttr(
        TrainDialect::kPlacementAttr,
        PlacementAttr::get(step.getContext(),
                           reason.empty() ? policy : Placement::Baseline));
  }
}

static std::string describe(const Estimate &estimate) {
  return llvm::formatv("{0:f3} ms and {1:f1} MB", estimate.milliseconds,
                       estimate.bytes / 1e6);
}

static void reportCost(UpdateOpInterface update, const FusionCost &cost) {
  auto opts = remark::RemarkOpts::name("fusion-cost")
                  .category("train-place")
                  .function(getParamName(update));
  remark::passed(update.getLoc(), opts)
      << ("update of \"" + getParamName(update) + "\" is estimated at " +
          describe(cost.oneNest) + " in one loop nest with its gradient, at " +
          describe(cost.apart) + " apart from it (one core, " +
          (cost.isInCache ? "in the last-level cache" : "in memory") +
          "): " + (cost.isBetterApart() ? "apart" : "one nest"))
             .str();
}

/// What could be in one nest with `update`; empty where nothing can be.
static SmallVector<linalg::LinalgOp> findProducers(UpdateOpInterface update) {
  std::string reason; // train-backward-fusion says it
  auto members = collectProducers(update, reason);
  if (failed(members))
    return {};
  SmallVector<linalg::LinalgOp> producers;
  for (Operation *member : *members)
    if (auto op = dyn_cast<linalg::LinalgOp>(member);
        op && !isa<linalg::FillOp>(op))
      producers.push_back(op);
  return producers;
}

void plait::weighFusions(FunctionOpInterface step,
                         const TargetOptions &target) {
  int64_t carried = carriedBytes(step);
  step.walk([&](UpdateOpInterface update) {
    auto placement =
        update->getAttrOfType<PlacementAttr>(TrainDialect::kPlacementAttr);
    if (!placement || placement.getValue() != Placement::Backward)
      return;
    auto producers = findProducers(update);
    auto isDynamic = [](linalg::LinalgOp op) { return op.hasDynamicShape(); };
    if (producers.empty() || llvm::any_of(producers, isDynamic))
      return;
    FusionCost cost = estimateFusion(update, producers, carried, target);
    reportCost(update, cost);
    if (cost.isBetterApart())
      update->setAttr(TrainDialect::kApartAttr,
                      UnitAttr::get(step.getContext()));
  });
}

namespace {
struct Place : plait::impl::TrainPlaceBase<Place> {
  using Base::Base;

  /// Once, before any pass runs: a wrong option is no matter of a function.
  LogicalResult initialize(MLIRContext *context) override {
    if (parsePolicy(policy))
      return success();
    return emitError(UnknownLoc::get(context))
           << "train-place: unknown policy '" << policy
           << "'; expected baseline, backward, forward or auto";
  }

  void runOnOperation() override {
    FunctionOpInterface step = getOperation();
    if (!isTrainingStep(step))
      return markAllAnalysesPreserved();
    placeUpdates(step, *parsePolicy(policy), getAnalysis<UpdateDependence>());
    if (policy == "auto") {
      TargetOptions target;
      target.panelBytes = panelBytes;
      target.cost = {cacheBytes, coreGflops, cacheGbs, memoryGbs};
      weighFusions(step, target);
    }
    markAnalysesPreserved<UpdateDependence>();
  }
};
} // namespace
