//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Roles from buffer donation: what JAX says about arguments whose buffers a
// result may take, read as "this result is that argument's next value".
//
// Donation is about buffers: JAX pairs a donated argument with the first free
// result of its type, whatever it holds. So each pair is checked against the
// graph, and a pair that contradicts it is an error, never a swap of a
// parameter with its moment.
//
//===----------------------------------------------------------------------===//

#include "UpdateSlice.h"
#include "plait/Passes.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINROLESFROMALIASING
#include "plait/Passes.h.inc"
} // namespace plait

static constexpr StringLiteral kAliasing = "tf.aliasing_output";
static constexpr StringLiteral kDonor = "jax.buffer_donor";

static bool hasRoles(FunctionOpInterface fn) {
  for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i)
    if (getArgRole(fn, i))
      return true;
  return isTrainingStep(fn);
}

/// The arguments that say which result takes their buffer.
static LogicalResult pairAliased(FunctionOpInterface fn, Operation *ret,
                                 SmallVectorImpl<Carried> &carried) {
  for (BlockArgument arg : fn.getArguments()) {
    auto index =
        fn.getArgAttrOfType<IntegerAttr>(arg.getArgNumber(), kAliasing);
    if (!index)
      continue;
    uint64_t result = index.getValue().getZExtValue();
    if (result >= fn.getNumResults() ||
        fn.getResultTypes()[result] != arg.getType() ||
        llvm::any_of(carried,
                     [&](const Carried &c) { return c.result == result; }))
      return fn.emitError("argument #")
             << arg.getArgNumber() << " is aliased with result #" << result
             << ", which is none of its type, or is aliased twice";
    carried.push_back({arg, ret->getOperand(result), unsigned(result)});
  }
  return success();
}

/// Donors that name no result: JAX matches by type, in order.
static void pairDonors(FunctionOpInterface fn, Operation *ret,
                       SmallVectorImpl<Carried> &carried) {
  SmallVector<BlockArgument> donors;
  for (BlockArgument arg : fn.getArguments())
    if (fn.getArgAttr(arg.getArgNumber(), kDonor) &&
        !fn.getArgAttr(arg.getArgNumber(), kAliasing))
      donors.push_back(arg);
  for (unsigned i = 0, e = fn.getNumResults(); i < e; ++i) {
    if (llvm::any_of(carried, [&](const Carried &c) { return c.result == i; }))
      continue;
    auto *donor = llvm::find_if(donors, [&](BlockArgument arg) {
      return arg.getType() == fn.getResultTypes()[i];
    });
    if (donor == donors.end())
      continue;
    carried.push_back({*donor, ret->getOperand(i), i});
    donors.erase(donor);
  }
}

/// A parameter is read by the forward pass; a state only by updates.
static bool isParameter(BlockArgument arg,
                        const DenseSet<Operation *> &updates) {
  auto type = cast<RankedTensorType>(arg.getType());
  return isa<FloatType>(type.getElementType()) &&
         llvm::any_of(arg.getUsers(), [&](Operation *user) {
           user = arg.getOwner()->findAncestorOpInBlock(*user);
           return !updates.contains(user) &&
                  !user->hasTrait<OpTrait::IsTerminator>();
         });
}

/// A next value is an elementwise function of what it replaces. A donated input
/// whose buffer an output happens to take is none, nor are two states that the
/// step returns in another order than it takes them. A state that only updates
/// read may start from nothing.
static LogicalResult checkPairs(FunctionOpInterface fn,
                                ArrayRef<Carried> carried,
                                const DenseSet<Operation *> &updates) {
  for (const Carried &value : carried) {
    auto reads = elementwiseReads(value.next);
    if (value.next == value.arg || reads.contains(value.arg))
      continue;
    auto *other = llvm::find_if(carried, [&](const Carried &c) {
      return c.arg.getType() == value.arg.getType() &&
             (reads.contains(c.arg) || value.next == c.arg);
    });
    bool isState = !llvm::any_of(value.arg.getUsers(), [&](Operation *user) {
      return !updates.contains(
          value.arg.getOwner()->findAncestorOpInBlock(*user));
    });
    if (other == carried.end() && isState)
      continue;
    InFlightDiagnostic error =
        fn.emitError("result #")
        << value.result << " takes the buffer of argument #"
        << value.arg.getArgNumber() << ", but is no elementwise function of it";
    if (other != carried.end())
      return error << "; it is computed from argument #"
                   << other->arg.getArgNumber()
                   << ": return values in the order of the donated arguments";
    return error << ", so it may not be its next value: do not donate that "
                    "argument, or give the arguments and results a train.role";
  }
  return success();
}

static void writeRoles(FunctionOpInterface fn, ArrayRef<Carried> carried,
                       const DenseSet<Operation *> &updates) {
  Builder b(fn.getContext());
  for (const Carried &value : carried) {
    unsigned index = value.arg.getArgNumber();
    StringAttr name = b.getStringAttr("arg" + Twine(index));
    StringAttr none = b.getStringAttr("");
    bool param = isParameter(value.arg, updates);
    fn.setArgAttr(index, TrainDialect::kRoleAttr,
                  param ? Attribute(ParamAttr::get(b.getContext(), name))
                        : StateAttr::get(b.getContext(), none, name));
    fn.setResultAttr(value.result, TrainDialect::kRoleAttr,
                     param ? NextAttr::get(b.getContext(), name, StringAttr())
                           : NextAttr::get(b.getContext(), none, name));
  }
  for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i)
    for (StringRef attr : {kAliasing, kDonor})
      fn.removeArgAttr(i, b.getStringAttr(attr));
  fn->setAttr(TrainDialect::kStepAttr, b.getUnitAttr());
}

static LogicalResult rolesFromAliasing(FunctionOpInterface fn) {
  if (fn.isExternal() || hasRoles(fn) || !fn.getFunctionBody().hasOneBlock() ||
      !llvm::all_of(fn.getArgumentTypes(), llvm::IsaPred<RankedTensorType>))
    return success();
  Operation *ret = fn.getFunctionBody().front().getTerminator();
  SmallVector<Carried> carried;
  if (failed(pairAliased(fn, ret, carried)))
    return failure();
  pairDonors(fn, ret, carried);
  if (carried.empty())
    return success();
  DenseSet<Operation *> updates = findClosedOps(
      llvm::map_to_vector(carried, [](const Carried &c) { return c.next; }));
  if (failed(checkPairs(fn, carried, updates)))
    return failure();
  writeRoles(fn, carried, updates);
  return success();
}

namespace {
struct RolesFromAliasing
    : plait::impl::TrainRolesFromAliasingBase<RolesFromAliasing> {
  void runOnOperation() override {
    getOperation()->walk([&](FunctionOpInterface fn) {
      if (failed(rolesFromAliasing(fn)))
        signalPassFailure();
    });
  }
};
} // namespace
