//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Raise: the arithmetic of an optimizer becomes a train.update. Which states
// belong to which parameter is decided here; which ops belong to the update is
// UpdateSlice's answer; what the update then looks like is in WriteUpdate.cpp.
//
// One parameter at a time: what cannot be raised is left as it is.
//
//===----------------------------------------------------------------------===//

#include "UpdateSlice.h"
#include "WriteUpdate.h"
#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINRAISE
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
/// A parameter and the states that may be part of its update.
struct Candidate {
  StringRef name;
  SmallVector<Carried> carried; ///< the parameter first
};
} // namespace

static remark::RemarkOpts remarkOpts(StringRef param) {
  return remark::RemarkOpts::name("raise")
      .category("train-raise")
      .function(param);
}

/// `the next value of "fc1.weight"`, or of one of its states.
static std::string describe(FunctionOpInterface step, const Carried &value) {
  Attribute role = getArgRole(step, value.arg.getArgNumber());
  auto state = dyn_cast<StateAttr>(role);
  if (!state)
    return ("the next value of \"" + cast<ParamAttr>(role).getName().str() +
            "\"");
  std::string text =
      "the next value of state \"" + state.getName().str() + "\"";
  if (!state.getOwner().empty())
    text += " of \"" + state.getOwner().str() + "\"";
  return text;
}

static void reportUnraised(StringRef name, Location loc, const Twine &why) {
  remark::missed(loc, remarkOpts(name))
      << ("update of \"" + name + "\" is not raised: " + why).str();
}

/// The carried values of a step; those that come back as they went in are not
/// updated.
static SmallVector<Carried> collectCarried(FunctionOpInterface step) {
  SmallVector<Carried> carried;
  Operation *ret = step.getFunctionBody().front().getTerminator();
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i)
    if (BlockArgument arg = getCarriedArg(step, i);
        arg && isa<RankedTensorType>(arg.getType()) &&
        isa_and_nonnull<NextAttr>(getResultRole(step, i)))
      carried.push_back({arg, ret->getOperand(i), i});
  return carried;
}

static bool mayShareUpdate(const Carried &param, const Carried &state) {
  auto type = cast<RankedTensorType>(state.arg.getType());
  auto paramType = cast<RankedTensorType>(param.arg.getType());
  return type.getRank() == 0 || type.getShape() == paramType.getShape();
}

/// States that have no owner (importers from JAX know none): a state belongs to
/// the one parameter whose next value is an elementwise function of it.
static void adoptStates(FunctionOpInterface step, ArrayRef<Carried> carried,
                        MutableArrayRef<Candidate> candidates) {
  llvm::SmallDenseMap<BlockArgument, unsigned> readers;
  SmallVector<llvm::SetVector<BlockArgument>> reads;
  for (const Candidate &candidate : candidates) {
    reads.push_back(elementwiseReads(candidate.carried.front().next));
    for (BlockArgument arg : reads.back())
      ++readers[arg];
  }
  for (auto [candidate, read] : llvm::zip(candidates, reads))
    for (const Carried &value : carried) {
      auto state =
          dyn_cast<StateAttr>(getArgRole(step, value.arg.getArgNumber()));
      if (state && state.getOwner().empty() && read.contains(value.arg) &&
          readers[value.arg] == 1 && value.next != value.arg &&
          mayShareUpdate(candidate.carried.front(), value))
        candidate.carried.push_back(value);
    }
}

/// Every parameter with the states that name it as their owner.
static SmallVector<Candidate> collectCandidates(FunctionOpInterface step,
                                                ArrayRef<Carried> carried) {
  SmallVector<Candidate> candidates;
  for (unsigned i = 0, e = step.getNumArguments(); i < e; ++i) {
    auto param = dyn_cast_or_null<ParamAttr>(getArgRole(step, i));
    if (!param)
      continue;
    const auto *own = llvm::find_if(carried, [&](const Carried &value) {
      return value.arg.getArgNumber() == i;
    });
    StringRef name = param.getName().getValue();
    if (own == carried.end() || own->next == own->arg) {
      reportUnraised(name, step.getLoc(),
                     "it is frozen: the step does not change it");
      continue;
    }
    if (own->next.getDefiningOp<UpdateOpInterface>())
      continue;
    Candidate candidate = {name, {*own}};
    for (const Carried &value : carried) {
      auto state =
          dyn_cast<StateAttr>(getArgRole(step, value.arg.getArgNumber()));
      if (state && state.getOwner() == param.getName() &&
          value.next != value.arg && mayShareUpdate(*own, value))
        candidate.carried.push_back(value);
    }
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

/// The slice of a parameter with as many of its states as can be in it: all of
/// them, if need be with norms of the whole tensor; otherwise without those
/// that the step computes elsewhere.
static FailureOr<UpdateSlice> findSlice(FunctionOpInterface step,
                                        const Candidate &candidate) {
  SmallVector<Carried> carried = candidate.carried;
  // Updates written so far may have replaced next values.
  Operation *ret = step.getFunctionBody().front().getTerminator();
  for (Carried &value : carried)
    value.next = ret->getOperand(value.result);
  while (true) {
    SmallVector<Refusal> refusals, withNorms;
    auto slice = findUpdateSlice(carried, /*reductions=*/false, refusals);
    if (failed(slice))
      slice = findUpdateSlice(carried, /*reductions=*/true, withNorms);
    if (succeeded(slice))
      return slice;
    // What norms do not help is the reason.
    for (const Refusal &refusal : refusals) {
      std::string why = describe(step, refusal.carried) + " " + refusal.reason;
      Location loc = refusal.carried.next.getLoc();
      if (refusal.carried.arg == candidate.carried.front().arg) {
        reportUnraised(candidate.name, loc, why);
        return failure();
      }
      remark::missed(loc, remarkOpts(candidate.name))
          << ("update of \"" + candidate.name + "\" leaves out a state: " + why)
                 .str();
    }
    llvm::erase_if(carried, [&](const Carried &value) {
      return llvm::any_of(refusals, [&](const Refusal &refusal) {
        return refusal.carried.arg == value.arg;
      });
    });
  }
}

void plait::raiseUpdates(FunctionOpInterface step) {
  if (!step.getFunctionBody().hasOneBlock()) {
    remark::missed(step.getLoc(), remarkOpts(""))
        << "no update is raised: the step has several blocks";
    return;
  }
  SmallVector<Carried> carried = collectCarried(step);
  SmallVector<Candidate> candidates = collectCandidates(step, carried);
  adoptStates(step, carried, candidates);
  for (const Candidate &candidate : candidates) {
    auto slice = findSlice(step, candidate);
    if (failed(slice))
      continue;
    UpdateOp update = writeUpdate(*slice);
    remark::passed(update.getLoc(), remarkOpts(candidate.name))
        << ("update of \"" + candidate.name +
            "\" raised: " + Twine(slice->ops.size()) + " ops, gradients: " +
            Twine(cast<UpdateOpInterface>(*update).getGradients().size()) +
            ", states: " + Twine(slice->carried.size() - 1))
               .str();
  }
}

namespace {
struct Raise : plait::impl::TrainRaiseBase<Raise> {
  void runOnOperation() override {
    FunctionOpInterface step = getOperation();
    if (isTrainingStep(step) && !step.isExternal())
      raiseUpdates(step);
  }
};
} // namespace
