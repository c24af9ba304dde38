//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// On whose gradients does an update depend, beside its own? A fact about all
// gradients (a norm, a finite flag) reaches an update as a scalar of it, or as
// a factor on the way from the op that makes the gradient: an operand of another
// size, or a scalar that an op's region captures. What products and reductions
// of tensors read is the ordinary backward pass.
//
//===----------------------------------------------------------------------===//

#include "plait/Analysis/Aliases.h"
#include "plait/Analysis/UpdateDependence.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace {
/// Where a gradient starts, and what scales it on the way.
struct GradientPath {
  llvm::SmallSetVector<Operation *, 4> sources;
  llvm::SetVector<Value> factors;
};
} // namespace

/// The number of elements; 1 for what is no tensor, 0 for an unknown shape.
static int64_t sizeOf(Value value) {
  auto type = dyn_cast<ShapedType>(value.getType());
  if (!type)
    return 1;
  return type.hasStaticShape() ? type.getNumElements() : 0;
}

/// Operands of `op` and of the ops in its regions that are from outside of it.
static llvm::SetVector<Value> readValues(Operation *op) {
  llvm::SetVector<Value> values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values;
}

/// Whether each element of the result is made of one element of an operand.
static bool worksByElement(Operation *op) {
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return linalgOp.getNumParallelLoops() == linalgOp.getNumLoops();
  return op->hasTrait<OpTrait::Elementwise>() || isView(op);
}

/// What the regions of a branch or a loop yield.
static SmallVector<Value> yields(RegionBranchOpInterface branch) {
  SmallVector<Value> values;
  for (Region &region : branch->getRegions())
    for (Block &block : region)
      llvm::append_range(values, block.getTerminator()->getOperands());
  return values;
}

/// Sorts what the op that makes `value` reads: into factors, and into values
/// from which the way to the gradient goes on, which are returned.
static SmallVector<Value> stepBack(Value value, GradientPath &path) {
  Operation *op = value.getDefiningOp();
  bool byElement = worksByElement(op);
  int64_t size = sizeOf(value);
  SmallVector<Value> next;
  for (Value read : readValues(op)) {
    bool isGradient = byElement && sizeOf(read) == size;
    // A parameter of one element is scaled by its like.
    if (sizeOf(read) == 1 || (byElement && !isGradient))
      path.factors.insert(read);
    if (isGradient)
      next.push_back(read);
  }
  if (auto branch = dyn_cast<RegionBranchOpInterface>(op))
    for (Value yielded : yields(branch))
      if (yielded.getType() == value.getType())
        next.push_back(yielded);
  return next;
}

static GradientPath pathToGradient(UpdateOpInterface update) {
  GradientPath path;
  path.factors.insert_range(update.getScalars());
  llvm::SetVector<Value> way(update.getGradients().begin(),
                             update.getGradients().end());
  for (size_t i = 0; i < way.size(); ++i) {
    Operation *def = way[i].getDefiningOp();
    // Constants and empty tensors are shared by what has nothing in common.
    if (!def || (def->getNumOperands() == 0 && def->getNumRegions() == 0))
      continue;
    SmallVector<Value> next = stepBack(way[i], path);
    if (next.empty())
      path.sources.insert(def);
    way.insert_range(next);
  }
  return path;
}

/// Everything that `values` are computed from, within their own function.
static llvm::SetVector<Operation *> backwardSlice(ArrayRef<Value> values) {
  llvm::SetVector<Operation *> slice;
  SmallVector<Value> worklist(values);
  while (!worklist.empty()) {
    Operation *def = worklist.pop_back_val().getDefiningOp();
    if (!def || !slice.insert(def))
      continue;
    def->walk([&](Operation *inner) {
      llvm::append_range(worklist, inner->getOperands());
    });
  }
  return slice;
}

SmallVector<StringRef>
UpdateDependence::getOtherGradients(UpdateOpInterface update) const {
  llvm::SetVector<Operation *> slice =
      backwardSlice(pathToGradient(update).factors.getArrayRef());
  SmallVector<StringRef> names;
  for (UpdateOpInterface other : updates)
    if (other != update &&
        llvm::any_of(pathToGradient(other).sources,
                     [&](Operation *op) { return slice.contains(op); }))
      names.push_back(getParamName(other));
  return names;
}
