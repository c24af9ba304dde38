//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Footprint.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace plait;

/// The bytes of `view` in its source, where they are known.
static std::optional<std::pair<int64_t, int64_t>> bytesOf(memref::ViewOp view) {
  APInt shift;
  MemRefType type = view.getType();
  if (!matchPattern(view.getByteShift(), m_ConstantInt(&shift)) ||
      !type.hasStaticShape() || !type.getElementType().isIntOrFloat())
    return std::nullopt;
  int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8) *
                  type.getNumElements();
  return std::pair(shift.getSExtValue(), shift.getSExtValue() + bytes);
}

/// What `op` is a view of, if all its elements are within that.
static Value sourceOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<memref::SubViewOp, memref::CastOp, memref::ExpandShapeOp,
            memref::CollapseShapeOp, memref::ViewOp>(
          [](auto view) { return view.getViewSource(); })
      .Default(Value());
}

void Footprint::add(Operation *op, Value value, bool isWrite) {
  Access access = {value, 0, std::numeric_limits<int64_t>::max(), isWrite};
  // A view that says itself where it begins may reach beyond what it views.
  bool isWithin = true;
  while (Operation *def = access.base.getDefiningOp()) {
    if (auto alloca = dyn_cast<memref::AllocaOp>(def)) {
      if (op->isAncestor(alloca))
        return;
      break;
    }
    if (auto cast = dyn_cast<memref::ReinterpretCastOp>(def)) {
      isWithin = false;
      access.base = cast.getSource();
      continue;
    }
    Value source = sourceOf(def);
    if (!source) {
      unknown = true;
      return;
    }
    // Offsets count from its source, and its source is the whole arena.
    if (auto view = dyn_cast<memref::ViewOp>(def); view && isWithin)
      if (auto range = bytesOf(view); range && isa<BlockArgument>(source))
        std::tie(access.begin, access.end) = *range;
    access.base = source;
  }
  // A memref that a loop carries may be any.
  if (auto argument = dyn_cast<BlockArgument>(access.base);
      argument &&
      !isa<FunctionOpInterface>(argument.getOwner()->getParentOp())) {
    unknown = true;
    return;
  }
  for (Access &other : accesses)
    if (other.base == access.base && other.isWrite == access.isWrite &&
        other.begin <= access.begin && access.end <= other.end)
      return;
  accesses.push_back(access);
}

void Footprint::add(Operation *op) {
  op->walk([&](Operation *inner) {
    auto interface = dyn_cast<MemoryEffectOpInterface>(inner);
    // It says that it writes.
    if (isa<memref::PrefetchOp>(inner))
      return;
    if (!interface) {
      unknown |= !inner->hasTrait<OpTrait::HasRecursiveMemoryEffects>();
      return;
    }
    SmallVector<MemoryEffects::EffectInstance> effects;
    interface.getEffects(effects);
    for (MemoryEffects::EffectInstance &effect : effects) {
      if (isa<MemoryEffects::Allocate>(effect.getEffect()))
        continue;
      Value value = effect.getValue();
      if (value && isa<BaseMemRefType>(value.getType()))
        add(op, value, !isa<MemoryEffects::Read>(effect.getEffect()));
      else
        unknown = true;
    }
  });
}

bool Footprint::conflictsWith(const Footprint &other) const {
  if (unknown || other.unknown)
    return true;
  return llvm::any_of(accesses, [&](const Access &a) {
    return llvm::any_of(other.accesses,
                        [&](const Access &b) { return a.conflictsWith(b); });
  });
}
