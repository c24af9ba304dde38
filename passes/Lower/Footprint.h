//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Footprints: what ops of a step read and write, as ranges of bytes of its
// arguments and of its stack. Two places of the arena are apart where their bytes
// are; two arguments always are (docs/ABI.md).
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_FOOTPRINT_H
#define PLAIT_PASSES_LOWER_FOOTPRINT_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

namespace plait {

class Footprint {
public:
  /// Adds what `op` and the ops within touch.
  void add(mlir::Operation *op);

  /// Whether one writes what the other touches. Always so if either may touch
  /// anything.
  bool conflictsWith(const Footprint &other) const;

  /// Ops that must not change places with any other.
  void setUnknown() { unknown = true; }

  /// Whether an op may touch anything, as a call may.
  bool isUnknown() const { return unknown; }

private:
  struct Access {
    mlir::Value base;
    int64_t begin, end;
    bool isWrite;
    bool conflictsWith(const Access &other) const {
      return base == other.base && (isWrite || other.isWrite) &&
             begin < other.end && other.begin < end;
    }
  };
  /// Adds an access to `value`, unless it is to a stack buffer within `op`.
  void add(mlir::Operation *op, mlir::Value value, bool isWrite);

  llvm::SmallVector<Access> accesses;
  bool unknown = false;
};

} // namespace plait

#endif // PLAIT_PASSES_LOWER_FOOTPRINT_H
