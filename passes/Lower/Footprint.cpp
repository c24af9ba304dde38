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
#include "mlir/Interfaces/ViewLikeInterface.h"
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

void Footprint::add(Operation *op, Value value, bool isWrite) {
  Access access = {value, 0, std::numeric_limits<int64_t>::max(), isWrite};
  while (Operation *def = access.base.getDefiningOp()) {
    if (auto alloca = dyn_cast<memref::AllocaOp>(def)) {
      if (op->isAncestor(alloca))
        return;
      break;
    }
    auto view = dyn_cast<ViewLikeOpInterface>(def);
    if (!view) {
      unknown = true;
      return;
    }
    // Offsets count from its source, and its source is the whole arena.
    if (auto bytes = dyn_cast<memref::ViewOp>(def))
      if (auto range = bytesOf(bytes);
          range && isa<BlockArgument>(bytes.getSource()))
        std::tie(access.begin, access.end) = *range;
    access.base = view.getViewSource();
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
  auto effects = getEffectsRecursively(op);
  if (!effects) {
    unknown = true;
    return;
  }
  for (MemoryEffects::EffectInstance &effect : *effects) {
    if (isa<MemoryEffects::Allocate>(effect.getEffect()))
      continue;
    Value value = effect.getValue();
    if (!value || !isa<BaseMemRefType>(value.getType())) {
      unknown = true;
      return;
    }
    add(op, value, !isa<MemoryEffects::Read>(effect.getEffect()));
  }
}

bool Footprint::conflictsWith(const Footprint &other) const {
  if (unknown || other.unknown)
    return true;
  return llvm::any_of(accesses, [&](const Access &a) {
    return llvm::any_of(other.accesses,
                        [&](const Access &b) { return a.conflictsWith(b); });
  });
}
