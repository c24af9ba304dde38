//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Signatures: roles to slots, in the order of docs/ABI.md.
//
//===----------------------------------------------------------------------===//

#include "plait/Driver/StepSignature.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace plait;
using namespace plait::run;
using namespace plait::train;
using runtime::DType;

const Slot *StepSignature::find(Kind kind, StringRef name) const {
  for (const Slot &slot : slots)
    if (slot.kind == kind && slot.name == name)
      return &slot;
  return nullptr;
}

static std::optional<DType> toDType(Type type) {
  if (type.isF32())
    return DType::F32;
  if (type.isF64())
    return DType::F64;
  if (type.isInteger(64))
    return DType::I64;
  if (type.isInteger(32))
    return DType::I32;
  if (type.isInteger(16))
    return DType::I16;
  if (type.isInteger(8))
    return DType::I8;
  if (type.isInteger(1))
    return DType::Bool;
  return std::nullopt;
}

/// A pending value is of any type that there is; no file holds it for long.
static std::optional<DType> toDType(Kind kind, Type type) {
  if (kind == Kind::Pending && type.isBF16())
    return DType::BF16;
  if (kind == Kind::Pending && type.isF16())
    return DType::F16;
  return toDType(type);
}

static FailureOr<Slot> makeSlot(Location loc, Kind kind, std::string name,
                                Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  std::optional<DType> dtype =
      tensor ? toDType(kind, tensor.getElementType()) : std::nullopt;
  if (!tensor || !tensor.hasStaticShape() || !dtype)
    return emitError(loc)
           << "'" << name << "' has type " << type
           << "; a step takes tensors of static shape of f32, f64, i64, "
              "i32, i16, i8 or i1";
  if (tensor.getNumElements() == 0)
    return emitError(loc)
           << "'" << name << "' has type " << type
           << ", which has no elements; leave it out of the step";
  runtime::Shape shape(tensor.getShape().begin(), tensor.getShape().end());
  return Slot{kind, std::move(name), *dtype, std::move(shape), std::nullopt,
              std::nullopt, loc};
}

static std::pair<Kind, std::string> classifyArg(Attribute role, unsigned i) {
  if (auto param = dyn_cast_or_null<ParamAttr>(role))
    return {Kind::Param, param.getName().str()};
  if (auto state = dyn_cast_or_null<StateAttr>(role)) {
    if (state.getOwner().empty())
      return {Kind::Buffer, state.getName().str()};
    return {Kind::State,
            "state." + state.getOwner().str() + "." + state.getName().str()};
  }
  if (auto pending = dyn_cast_or_null<PendingAttr>(role))
    return {Kind::Pending, "pending." + pending.getOwner().str() + "." +
                               pending.getName().str()};
  if (auto input = dyn_cast_or_null<InputAttr>(role))
    return {Kind::Input, input.getName().str()};
  return {Kind::Input, "arg" + std::to_string(i)};
}

FailureOr<StepSignature> run::readSignature(FunctionOpInterface step) {
  StepSignature signature;
  signature.function = SymbolTable::getSymbolName(step).str();
  llvm::StringSet<> names;
  for (unsigned i = 0, e = step.getNumArguments(); i < e; ++i) {
    auto [kind, name] = classifyArg(getArgRole(step, i), i);
    // Roles differ, but one file has them all by these names.
    if (!names.insert(name).second)
      return emitError(step.getArgument(i).getLoc())
             << "two arguments of @" << signature.function << " are called '"
             << name
             << "' (the state s of a parameter p is state.p.s, what waits for "
                "its update pending.p.in0, and an argument without a role arg"
             << i << ")";
    auto slot = makeSlot(step.getArgument(i).getLoc(), kind, name,
                         step.getArgumentTypes()[i]);
    if (failed(slot))
      return failure();
    if (auto range = step.getArgAttrOfType<DenseI64ArrayAttr>(
            i, TrainDialect::kIndexRangeAttr)) {
      ArrayRef<int64_t> values = range.asArrayRef();
      slot->indexRange = {values[0], values[1], values.drop_front(2).vec()};
    }
    if (auto dim = step.getArgAttrOfType<IntegerAttr>(
            i, TrainDialect::kBlockedDimAttr))
      slot->blockedDim = dim.getInt();
    signature.slots.push_back(*slot);
  }
  Operation *ret = step.getFunctionBody().back().getTerminator();
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i) {
    if (getCarriedArg(step, i))
      continue;
    Attribute role = getResultRole(step, i);
    std::string name = "output" + std::to_string(i);
    Kind kind = Kind::Output;
    if (auto output = dyn_cast_or_null<OutputAttr>(role))
      name = output.getName().str();
    // The prologue gives pending values that it does not take.
    if (isa_and_nonnull<PendingAttr>(role))
      std::tie(kind, name) = classifyArg(role, i);
    auto slot = makeSlot(ret->getOperand(i).getLoc(), kind, name,
                         step.getResultTypes()[i]);
    if (failed(slot))
      return failure();
    signature.slots.push_back(*slot);
  }
  return signature;
}

FailureOr<std::vector<std::pair<std::string, std::string>>>
run::readModelKeys(FunctionOpInterface step, const StepSignature &signature) {
  std::vector<std::pair<std::string, std::string>> keys;
  auto model = step->getAttrOfType<DictionaryAttr>(TrainDialect::kModelAttr);
  if (!model)
    return keys;
  for (NamedAttribute entry : model) {
    std::string name = cast<StringAttr>(entry.getValue()).str();
    bool found = llvm::any_of(signature.slots, [&](const Slot &slot) {
      return slot.name == name &&
             (slot.kind == Kind::Param || slot.kind == Kind::Buffer);
    });
    if (!found)
      return step.emitError("'train.model' has '")
             << name << "' for '" << entry.getName().getValue()
             << "', which is no parameter or buffer of the step";
    keys.emplace_back(entry.getName().str(), name);
  }
  return keys;
}

std::vector<UpdateReport> run::reportUpdates(FunctionOpInterface step) {
  std::vector<UpdateReport> reports;
  step.walk([&](UpdateOpInterface update) {
    auto placement =
        update->getAttrOfType<PlacementAttr>(TrainDialect::kPlacementAttr);
    reports.push_back({getParamName(update).str(),
                       stringifyPlacement(placement ? placement.getValue()
                                                    : Placement::Baseline)
                           .str(),
                       isa<ClusterOp>(update->getParentOp()), 0,
                       update.getLoc()});
  });
  return reports;
}

/// Whether `step` gives the next value of anything.
static bool carries(FunctionOpInterface step) {
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i)
    if (getCarriedArg(step, i))
      return true;
  return false;
}

static FailureOr<FunctionOpInterface> findNamed(ModuleOp module,
                                                StringRef name) {
  auto fn = module.lookupSymbol<FunctionOpInterface>(name);
  if (!fn)
    return module.emitError("has no training step @") << name;
  if (!isTrainingStep(fn))
    return fn.emitError("@")
           << name << " is no training step: it lacks the attribute "
           << "'train.step'";
  if (carries(fn))
    return fn;
  InFlightDiagnostic diag = fn.emitError("@");
  diag << name
       << " is no training step: it gives the next value of no parameter or "
          "state (no result has the role #train.next), so nothing is trained";
  diag.attachNote() << "choose another by --entry-point; a function that "
                       "judges the parameters is run by --eval=@"
                    << name;
  return diag;
}

FailureOr<FunctionOpInterface> run::findEntry(ModuleOp module, StringRef name) {
  if (!name.empty())
    return findNamed(module, name);
  SmallVector<FunctionOpInterface> found;
  for (auto fn : module.getOps<FunctionOpInterface>())
    if (isTrainingStep(fn) && carries(fn))
      found.push_back(fn);
  if (found.size() == 1)
    return found.front();
  if (found.empty())
    return module.emitError()
           << "has no training step: no function with 'train.step' gives "
              "the next value of a parameter";
  InFlightDiagnostic diag = module.emitError();
  diag << "has " << found.size()
       << " training steps; choose one by name (--entry-point)";
  for (FunctionOpInterface fn : found)
    diag.attachNote(fn.getLoc()) << "@" << fn.getName() << " is one";
  return diag;
}
