//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_RAISE_SPREAD_H
#define PLAIT_PASSES_RAISE_SPREAD_H

#include "mlir/IR/Value.h"

namespace plait {

/// A tensor whose element offset + stride * i is element i of `source`, in each
/// dimension, and which is zero elsewhere.
struct Spread {
  mlir::Value source;
  llvm::SmallVector<int64_t> offsets, strides;
};

/// The tensor behind insertions into zeros and padding with zeros; fails if
/// none of it spreads.
mlir::FailureOr<Spread> matchSpread(mlir::Value value);

} // namespace plait

#endif // PLAIT_PASSES_RAISE_SPREAD_H
