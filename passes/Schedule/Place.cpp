//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Place: decides where each update runs, and writes the decision on it. It
// moves nothing: see BackwardFusion.cpp and ForwardFusion.cpp.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/IR/Remarks.h"

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

static bool isCarried(BlockArgument arg) {
  auto step = dyn_cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
  return step && isa_and_nonnull<ParamAttr, StateAttr>(
                     getArgRole(step, arg.getArgNumber()));
}

/// The reason why `update` cannot be placed by `policy`; empty where it can.
static std::string whyNot(UpdateOpInterface update, Placement policy,
                          const UpdateDependence &dependence) {
  StringRef name = getParamName(update);
  if (policy == Placement::Baseline)
    return "";
  if (name.empty())
    return "an update whose parameter is no argument with the role #train.param "
           "stays where it is";
  if (policy == Placement::Backward) {
    if (!dependence.getWindow(update).isLegal())
      return dependence.explain(update) + "; no earlier position is legal";
    if (!dependence.getOtherGradients(update).empty())
      return dependence.explain(update) +
             "; it stays after them (policy=forward can place it)";
    return "";
  }
  for (Value old : update.getDpsInits())
    if (!isa<BlockArgument>(old))
      return "update of \"" + name.str() +
             "\" replaces a value that is no argument of the step";
  for (Value input : update.getDpsInputs())
    if (auto arg = dyn_cast<BlockArgument>(input); arg && isCarried(arg))
      return "update of \"" + name.str() +
             "\" reads the old value of argument #" +
             std::to_string(arg.getArgNumber()) +
             ", which this step replaces, so it cannot wait";
  for (Value next : update->getResults())
    if (!llvm::all_of(next.getUsers(), [](Operation *user) {
          return user->hasTrait<OpTrait::IsTerminator>();
        }))
      return "the new value of \"" + name.str() +
             "\" is used in the same step, so the update cannot wait";
  return "";
}

/// What a remark says of an update that is placed.
static std::string placed(UpdateOpInterface update, Placement policy,
                          const UpdateDependence &dependence) {
  std::string text =
      policy == Placement::Backward
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
    update->setAttr(TrainDialect::kPlacementAttr,
                    PlacementAttr::get(step.getContext(),
                                       reason.empty() ? policy
                                                      : Placement::Baseline));
  }
}

namespace {
struct Place : plait::impl::TrainPlaceBase<Place> {
  using Base::Base;
  void runOnOperation() override {
    FunctionOpInterface step = getOperation();
    if (!isTrainingStep(step))
      return markAllAnalysesPreserved();
    std::optional<Placement> parsed = parsePolicy(policy);
    if (!parsed) {
      step.emitError("train-place: unknown policy '")
          << policy << "'; expected baseline, backward, forward or auto";
      return signalPassFailure();
    }
    placeUpdates(step, *parsed, getAnalysis<UpdateDependence>());
    markAnalysesPreserved<UpdateDependence>();
  }
};
} // namespace
