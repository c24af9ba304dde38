//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Legality: what may move, what may wait, what may be one loop nest.
//
//===----------------------------------------------------------------------===//

#include "plait/Analysis/Legality.h"

#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

/// A carried argument, as remarks name it.
static std::string spell(BlockArgument arg) {
  auto step = cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
  Attribute role = getArgRole(step, arg.getArgNumber());
  if (auto param = dyn_cast_or_null<ParamAttr>(role))
    return ("\"" + param.getName().getValue() + "\"").str();
  std::string text = "argument #" + std::to_string(arg.getArgNumber());
  if (role)
    llvm::raw_string_ostream(text) << " (" << role << ')';
  return text;
}

static std::string spellResult(FunctionOpInterface step, unsigned index) {
  std::string text = "result #" + std::to_string(index);
  if (Attribute role = getResultRole(step, index))
    llvm::raw_string_ostream(text) << " (" << role << ')';
  return text;
}

/// How many updates there are of `param`: those that replace it, and those that
/// replace what they make, in whatever region.
static unsigned countUpdates(Value param) {
  llvm::SmallPtrSet<Operation *, 2> updates;
  SmallVector<Value> versions = {param};
  while (!versions.empty())
    for (OpOperand &use : versions.pop_back_val().getUses())
      if (auto update = dyn_cast<UpdateOpInterface>(use.getOwner());
          update && update.isDpsInit(&use) && updates.insert(update).second)
        versions.push_back(update.getTiedOpResult(&use));
  return updates.size();
}

std::string plait::whyNotMove(UpdateOpInterface update) {
  StringRef name = getParamName(update);
  if (name.empty())
    return "an update whose parameter is no argument with the role "
           "#train.param "
           "stays where it is";
  std::string of = ("update of \"" + name + "\" ").str();
  Operation *parent = update->getParentOp();
  if (!isa<FunctionOpInterface>(parent))
    return of + "is inside '" + parent->getName().getStringRef().str() +
           "', and stays there: only updates that every step makes, once, are "
           "moved";
  if (!update->getBlock()->isEntryBlock())
    return of + "is not in the step's first block, and stays where it is";
  if (unsigned number = countUpdates(update.getParam()); number > 1)
    return of + "is one of " + std::to_string(number) +
           " in this step, which stay where they are";
  auto type = cast<RankedTensorType>(update.getParam().getType());
  if (llvm::is_contained(type.getShape(), 0))
    return of + "has no elements to replace, and stays where it is";
  return "";
}

static bool isCarried(BlockArgument arg) {
  auto step = dyn_cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
  return step && isa_and_nonnull<ParamAttr, StateAttr>(
                     getArgRole(step, arg.getArgNumber()));
}

/// Why not all that `next` is for is to be `old` in the next step.
static std::string whyNotNextAlone(FunctionOpInterface step, Value next,
                                   BlockArgument old) {
  bool isNext = false;
  for (OpOperand &use : next.getUses()) {
    Operation *user = use.getOwner();
    if (user != step.getFunctionBody().front().getTerminator())
      return "the new value of " + spell(old) +
             " is used in the same step, by '" +
             user->getName().getStringRef().str() +
             "', so the update cannot wait";
    if (getCarriedArg(step, use.getOperandNumber()) != old)
      return "the new value of " + spell(old) + " is " +
             spellResult(step, use.getOperandNumber()) +
             ", too, which cannot be a step late, so the update cannot wait";
    isNext = true;
  }
  return isNext ? ""
                : "the new value of " + spell(old) +
                      " is not carried to the next step, so the update cannot "
                      "wait";
}

std::string plait::whyNotWait(UpdateOpInterface update) {
  auto step = cast<FunctionOpInterface>(update->getParentOp());
  std::string of = ("update of \"" + getParamName(update) + "\" ").str();
  if (!step.getFunctionBody().hasOneBlock())
    return of + "is in a step of several blocks, so it cannot wait";
  for (Value old : update.getDpsInits())
    if (!isa<BlockArgument>(old))
      return of + "replaces a value that is no argument of the step";
  for (Value input : update.getDpsInputs())
    if (auto arg = dyn_cast<BlockArgument>(input); arg && isCarried(arg))
      return of + "reads the old value of argument #" +
             std::to_string(arg.getArgNumber()) +
             ", which this step replaces, so it cannot wait";
  for (auto [next, old] : llvm::zip(update->getResults(), update.getDpsInits()))
    if (std::string reason =
            whyNotNextAlone(step, next, cast<BlockArgument>(old));
        !reason.empty())
      return reason;
  return "";
}

FailureOr<PanelLoop> plait::findPanelLoop(linalg::LinalgOp product,
                                          OpResult param, std::string &reason) {
  OpOperand *operand = nullptr;
  for (OpOperand &use : product->getOpOperands()) {
    if (use.get().getDefiningOp() != param.getOwner())
      continue;
    if (product.isDpsInit(&use))
      reason = "adds to what the update makes";
    else if (use.get() != param)
      reason = "reads a state that the update makes";
    else if (operand)
      reason = "reads it through more than one operand";
    operand = &use;
    if (!reason.empty())
      return failure();
  }
  if (!operand) {
    reason = "does not read it";
    return failure();
  }
  AffineMap map = product.getMatchingIndexingMap(operand);
  AffineMap result =
      product.getMatchingIndexingMap(product.getDpsInitOperand(0));
  for (auto [dim, expr] : llvm::enumerate(map.getResults()))
    if (auto loop = dyn_cast<AffineDimExpr>(expr);
        loop && result.isFunctionOfDim(loop.getPosition()))
      return PanelLoop{loop.getPosition(), unsigned(dim)};
  reason = "contracts every dimension of it";
  return failure();
}

/// Whether one loop makes the new parameter. An update with a region may give
/// back what it was given, or a constant.
static bool isMadeByLoop(UpdateOpInterface update) {
  auto general = dyn_cast<UpdateOp>(update.getOperation());
  if (!general)
    return true; // see Optimizers.cpp
  Value next = general.getBody().front().getTerminator()->getOperand(0);
  auto loop = next.getDefiningOp<linalg::LinalgOp>();
  return loop && !isa<linalg::FillOp>(loop) && loop.getNumLoops() > 0 &&
         next == loop->getResult(0);
}

std::string plait::whyNotOneNest(UpdateOpInterface update, Operation *reader) {
  if (!update.isElementwise())
    return "it reads the whole tensor, not tile by tile";
  if (!isMadeByLoop(update))
    return "no loop makes its new value";
  std::string first =
      ("its first reader '" + reader->getName().getStringRef() + "' ").str();
  if (isa<ClusterOp>(reader))
    return first + "is in one loop nest with another update already";
  auto product = dyn_cast<linalg::LinalgOp>(reader);
  if (!product || !linalg::isaContractionOpInterface(product))
    return first + "is no product";
  for (Type type : product->getOperandTypes())
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        tensor &&
        (!tensor.hasStaticShape() || llvm::is_contained(tensor.getShape(), 0)))
      return first + "has an operand without a static number of elements";
  std::string reason;
  if (failed(
          findPanelLoop(product, cast<OpResult>(update->getResult(0)), reason)))
    return first + reason;
  return "";
}
