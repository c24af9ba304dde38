//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks back from the ops that write a parameter or its states, through what
// belongs to the update itself, to the buffers in which its gradients are.
//
//===----------------------------------------------------------------------===//

#include "GradientBuffers.h"

#include "plait/Dialect/Train/Train.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"

using namespace mlir;
using namespace plait::train;

/// The buffer that `value` is a view of; null where it is a scalar.
static Value baseOf(Value value) {
  auto memref = dyn_cast<MemrefValue>(value);
  return memref ? Value(memref::skipViewLikeOps(memref)) : Value();
}

/// What `op` reads, its accumulators apart.
static SmallVector<Value> inputsOf(Operation *op) {
  if (auto copy = dyn_cast<memref::CopyOp>(op))
    return {copy.getSource()};
  return cast<linalg::LinalgOp>(op).getDpsInputs();
}

static SmallVector<Value> outputsOf(Operation *op) {
  if (auto copy = dyn_cast<memref::CopyOp>(op))
    return {copy.getTarget()};
  return llvm::to_vector(cast<linalg::LinalgOp>(op).getDpsInits());
}

static bool isCopy(Operation *op) { return isa<memref::CopyOp>(op); }

namespace {
/// The search for one parameter.
class Search {
public:
  using Writers = DenseMap<Value, SmallVector<Operation *>>;
  Search(FunctionOpInterface step, const Writers &writers, BlockArgument arg)
      : step(step), writers(writers), type(cast<MemRefType>(arg.getType())),
        name(cast<ParamAttr>(getArgRole(step, arg.getArgNumber()))
                 .getName()
                 .getValue()) {
    for (BlockArgument other : step.getArguments())
      if (isOwn(other))
        for (Operation *op : writers.lookup(other))
          visitInputs(op);
  }

  int64_t bytes = 0;

private:
  /// Whether `base` is the parameter or a state of it.
  bool isOwn(Value base) const {
    auto arg = dyn_cast_or_null<BlockArgument>(base);
    if (!arg || arg.getOwner()->getParentOp() != step)
      return false;
    Attribute role = getArgRole(step, arg.getArgNumber());
    if (auto state = dyn_cast_or_null<StateAttr>(role))
      return state.getOwner().getValue() == name;
    auto param = dyn_cast_or_null<ParamAttr>(role);
    return param && param.getName().getValue() == name;
  }

  /// Whether `op` is a part of the update: it reads or writes what only that
  /// does.
  bool isOfUpdate(Operation *op) const {
    auto own = [&](Value value) { return isOwn(baseOf(value)); };
    return llvm::any_of(inputsOf(op), own) || llvm::any_of(outputsOf(op), own);
  }

  void visitInputs(Operation *op) {
    for (Value input : inputsOf(op))
      if (Value base = baseOf(input); base && seen.insert(base).second)
        visit(base);
  }

  void visit(Value base) {
    auto buffer = dyn_cast<MemRefType>(base.getType());
    bool whole = buffer && buffer.hasStaticShape() &&
                 buffer.getNumElements() == type.getNumElements();
    int64_t size =
        whole ? buffer.getNumElements() * buffer.getElementTypeBitWidth() / 8
              : 0;
    if (auto arg = dyn_cast<BlockArgument>(base)) {
      if (arg.getOwner()->getParentOp() == step &&
          isa_and_nonnull<PendingAttr>(getArgRole(step, arg.getArgNumber())))
        bytes += size;
      return;
    }
    if (!base.getDefiningOp<memref::AllocOp>())
      return;
    SmallVector<Operation *> ops = writers.lookup(base);
    bool passedOn = !ops.empty() && llvm::all_of(ops, isCopy);
    bool ofUpdate =
        llvm::any_of(ops, [&](Operation *op) { return isOfUpdate(op); });
    if (whole && !passedOn && !ofUpdate) {
      bytes += size;
      return;
    }
    // A panel, or what the update makes on its way. What makes a panel of a
    // gradient ends the search; what adds two of them does not.
    for (Operation *op : ops)
      if (isCopy(op) || linalg::isElementwise(cast<linalg::LinalgOp>(op)))
        visitInputs(op);
  }

  FunctionOpInterface step;
  const Writers &writers;
  MemRefType type;
  StringRef name;
  llvm::DenseSet<Value> seen;
};
} // namespace

DictionaryAttr plait::gradientBytes(FunctionOpInterface step) {
  Search::Writers writers;
  step.walk([&](Operation *op) {
    if (isa<linalg::LinalgOp>(op) || isCopy(op))
      for (Value output : outputsOf(op))
        if (Value base = baseOf(output))
          writers[base].push_back(op);
  });
  Builder b(step.getContext());
  SmallVector<NamedAttribute> entries;
  for (BlockArgument arg : step.getArguments())
    if (auto param = dyn_cast_or_null<ParamAttr>(
            getArgRole(step, arg.getArgNumber()));
        param && isa<MemRefType>(arg.getType()) && writers.contains(arg))
      entries.emplace_back(
          param.getName(),
          b.getI64IntegerAttr(Search(step, writers, arg).bytes));
  return b.getDictionaryAttr(entries);
}
