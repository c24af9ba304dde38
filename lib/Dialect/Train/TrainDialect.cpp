//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The dialect itself: registration, the contract of a training step, and the
// questions about roles. The contract's cross checks run on the function only,
// and only while its arguments are tensors.
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace plait::train;

#include "plait/Dialect/Train/TrainDialect.cpp.inc"
#include "plait/Dialect/Train/TrainEnums.cpp.inc"
#include "plait/Dialect/Train/TrainInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "plait/Dialect/Train/TrainAttrs.cpp.inc"

namespace {
/// Version 1.0 of the bytecode is the first; a newer one is refused rather
/// than misread.
constexpr uint64_t kBytecodeMajor = 1;

struct TrainVersion : DialectVersion {
  explicit TrainVersion(uint64_t major) : major(major) {}
  uint64_t major;
};

struct TrainBytecode : BytecodeDialectInterface {
  explicit TrainBytecode(Dialect *dialect)
      : BytecodeDialectInterface(dialect) {}

  void writeVersion(DialectBytecodeWriter &writer) const override {
    writer.writeVarInt(kBytecodeMajor);
  }
  std::unique_ptr<DialectVersion>
  readVersion(DialectBytecodeReader &reader) const override {
    uint64_t major;
    if (failed(reader.readVarInt(major)))
      return nullptr;
    if (major > kBytecodeMajor) {
      reader.emitError("train dialect: bytecode version ")
          << major << " is newer than this build reads (" << kBytecodeMajor
          << ")";
      return nullptr;
    }
    return std::make_unique<TrainVersion>(major);
  }
};
} // namespace

void TrainDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "plait/Dialect/Train/TrainAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "plait/Dialect/Train/TrainOps.cpp.inc"
      >();
  addInterfaces<TrainBytecode>();
}

//===----------------------------------------------------------------------===//
// Questions about roles
//===----------------------------------------------------------------------===//

bool plait::train::isTrainingStep(Operation *op) {
  return isa<FunctionOpInterface>(op) && op->hasAttr(TrainDialect::kStepAttr);
}

Attribute plait::train::getArgRole(FunctionOpInterface fn, unsigned index) {
  return fn.getArgAttr(index, TrainDialect::kRoleAttr);
}

Attribute plait::train::getResultRole(FunctionOpInterface fn, unsigned index) {
  return fn.getResultAttr(index, TrainDialect::kRoleAttr);
}

/// Whether a role is that of parameter `name` (`state` empty) or of its state.
static bool isCarriedRole(Attribute role, StringRef name, StringRef state) {
  if (auto param = dyn_cast_or_null<ParamAttr>(role))
    return state.empty() && param.getName().getValue() == name;
  if (auto st = dyn_cast_or_null<StateAttr>(role))
    return !state.empty() && st.getOwner().getValue() == name &&
           st.getName().getValue() == state;
  return false;
}

BlockArgument plait::train::findCarriedArg(FunctionOpInterface fn,
                                           StringRef name, StringRef state) {
  for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i)
    if (isCarriedRole(getArgRole(fn, i), name, state))
      return fn.getArgument(i);
  return {};
}

BlockArgument plait::train::getCarriedArg(FunctionOpInterface fn,
                                          unsigned resultIndex) {
  Attribute role = getResultRole(fn, resultIndex);
  if (auto next = dyn_cast_or_null<NextAttr>(role))
    return findCarriedArg(fn, next.getOwner().getValue(),
                          next.getName() ? next.getName().getValue() : "");
  if (isa_and_nonnull<PendingAttr>(role))
    for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i)
      if (getArgRole(fn, i) == role)
        return fn.getArgument(i);
  return {};
}

Value plait::train::traceThroughClusters(Value value) {
  while (auto arg = dyn_cast<BlockArgument>(value)) {
    auto cluster = dyn_cast<ClusterOp>(arg.getOwner()->getParentOp());
    if (!cluster)
      break;
    value = cluster.getInputs()[arg.getArgNumber()];
  }
  return value;
}

StringRef plait::train::getParamName(UpdateOpInterface update) {
  auto arg = dyn_cast<BlockArgument>(traceThroughClusters(update.getParam()));
  if (!arg)
    return "";
  auto fn = dyn_cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
  if (!fn || !arg.getOwner()->isEntryBlock())
    return "";
  auto role = dyn_cast_or_null<ParamAttr>(getArgRole(fn, arg.getArgNumber()));
  return role ? role.getName().getValue() : "";
}

//===----------------------------------------------------------------------===//
// The contract of a training step
//===----------------------------------------------------------------------===//

/// A role as text, for messages and to find duplicates.
static std::string spell(Attribute role) {
  std::string text;
  llvm::raw_string_ostream(text) << role;
  return text;
}

/// An empty name of a state would be read as that of the parameter.
static LogicalResult verifyStateName(Operation *op, StringRef kind, unsigned i,
                                     Attribute role, StringAttr owner,
                                     StringAttr name) {
  if (!name || !name.empty())
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << kind << " #" << i << " has the role " << role
                             << ", but the name of a state must not be empty";
  if (isa<NextAttr>(role) && !owner.empty())
    error << "; the next value of the parameter is "
          << NextAttr::get(op->getContext(), owner, StringAttr());
  return error;
}

static LogicalResult verifyArguments(Operation *op, FunctionOpInterface fn) {
  llvm::StringSet<> names;
  for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i) {
    Attribute role = getArgRole(fn, i);
    if (auto state = dyn_cast_or_null<StateAttr>(role))
      if (failed(verifyStateName(op, "argument", i, role, state.getOwner(),
                                 state.getName())))
        return failure();
    if (role && !names.insert(spell(role)).second)
      return op->emitOpError("has two arguments with the role ") << role;
  }
  for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i) {
    auto state = dyn_cast_or_null<StateAttr>(getArgRole(fn, i));
    if (!state || state.getOwner().empty())
      continue;
    if (!findCarriedArg(fn, state.getOwner().getValue(), ""))
      return op->emitOpError("argument #")
             << i << " is a state of \"" << state.getOwner().getValue()
             << "\", but no argument has the role "
             << ParamAttr::get(op->getContext(), state.getOwner());
  }
  return success();
}

static LogicalResult verifyResults(Operation *op, FunctionOpInterface fn) {
  llvm::StringSet<> names;
  for (unsigned i = 0, e = fn.getNumResults(); i < e; ++i) {
    Attribute role = getResultRole(fn, i);
    if (!role)
      continue;
    if (!names.insert(spell(role)).second)
      return op->emitOpError("has two results with the role ") << role;
    auto next = dyn_cast<NextAttr>(role);
    if (!next)
      continue;
    if (failed(verifyStateName(op, "result", i, role, next.getOwner(),
                               next.getName())))
      return failure();
    BlockArgument arg = getCarriedArg(fn, i);
    if (!arg)
      return op->emitOpError("result #")
             << i << " has the role " << role
             << ", but no argument is that parameter or state";
    if (arg.getType() != fn.getResultTypes()[i])
      return op->emitOpError("result #")
             << i << " has the role " << role << " and type "
             << fn.getResultTypes()[i] << ", but that argument has type "
             << arg.getType();
  }
  return success();
}

/// That the names are there is checked where they are read: lowering takes the
/// roles away.
static LogicalResult verifyModel(Operation *op, Attribute value) {
  auto model = dyn_cast<DictionaryAttr>(value);
  bool isTable = model && llvm::all_of(model, [](NamedAttribute entry) {
                   return isa<StringAttr>(entry.getValue());
                 });
  if (!isa<FunctionOpInterface>(op) || !isTable)
    return op->emitOpError("'train.model' must be a dictionary of strings of a "
                           "function");
  return success();
}

LogicalResult TrainDialect::verifyOperationAttribute(Operation *op,
                                                     NamedAttribute attr) {
  if (attr.getName() == kPlacementAttr) {
    if (!isa<UpdateOpInterface>(op))
      return op->emitOpError("has 'train.placement' but is no update");
    if (!isa<PlacementAttr>(attr.getValue()))
      return op->emitOpError("'train.placement' must be a #train.placement");
    return success();
  }
  if (attr.getName() == kApartAttr) {
    if (!isa<UpdateOpInterface>(op) || !isa<UnitAttr>(attr.getValue()))
      return op->emitOpError(
          "'train.apart' must be a unit attribute of an update");
    return success();
  }
  if (attr.getName() == kModelAttr)
    return verifyModel(op, attr.getValue());
  if (attr.getName() != kStepAttr)
    return op->emitOpError("has an unknown attribute '")
           << attr.getName().getValue() << "'";
  auto fn = dyn_cast<FunctionOpInterface>(op);
  if (!fn || !isa<UnitAttr>(attr.getValue()))
    return op->emitOpError(
        "'train.step' must be a unit attribute of a function");
  if (fn.isExternal() ||
      !llvm::all_of(fn.getArgumentTypes(), llvm::IsaPred<TensorType>))
    return success();
  if (failed(verifyArguments(op, fn)))
    return failure();
  return verifyResults(op, fn);
}

LogicalResult TrainDialect::verifyRegionArgAttribute(Operation *op, unsigned,
                                                     unsigned index,
                                                     NamedAttribute attr) {
  if (attr.getName() == kIndexRangeAttr) {
    auto range = dyn_cast<DenseI64ArrayAttr>(attr.getValue());
    if (range && range.size() >= 2 && range[0] < range[1])
      return success();
    return op->emitOpError("argument #")
           << index << " has 'train.index_range' " << attr.getValue()
           << ", expected array<i64: low, high, others...> with low < high";
  }
  if (attr.getName() == kBlockedDimAttr) {
    auto dim = dyn_cast<IntegerAttr>(attr.getValue());
    auto fn = dyn_cast<FunctionOpInterface>(op);
    auto type =
        fn ? dyn_cast<ShapedType>(fn.getArgumentTypes()[index]) : ShapedType();
    if (dim && dim.getType().isSignlessInteger(64) && dim.getInt() >= 0 &&
        dim.getInt() <= 1 && type && type.getRank() == 3)
      return success();
    return op->emitOpError("argument #")
           << index << " has 'train.blocked_dim' " << attr.getValue()
           << ", expected 0 : i64 or 1 : i64 on a tensor of three dimensions";
  }
  if (attr.getName() != kRoleAttr)
    return success();
  // A string is what importers write (train-roles-from-strings reads it).
  if (isa<ParamAttr, StateAttr, PendingAttr, InputAttr>(attr.getValue()) ||
      isa<StringAttr>(attr.getValue()))
    return success();
  return op->emitOpError("argument #")
         << index << " has 'train.role' " << attr.getValue()
         << ", expected #train.param, #train.state, #train.pending or "
            "#train.input";
}

LogicalResult TrainDialect::verifyRegionResultAttribute(Operation *op, unsigned,
                                                        unsigned index,
                                                        NamedAttribute attr) {
  if (attr.getName() != kRoleAttr)
    return success();
  if (isa<NextAttr, PendingAttr, OutputAttr>(attr.getValue()) ||
      isa<StringAttr>(attr.getValue()))
    return success();
  return op->emitOpError("result #")
         << index << " has 'train.role' " << attr.getValue()
         << ", expected #train.next, #train.pending or #train.output";
}
