//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Conversions: functions that bring a parameter into its layout, and back.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LAYOUT_CONVERSIONS_H
#define PLAIT_PASSES_LAYOUT_CONVERSIONS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"

namespace plait {

/// The type of a matrix of type `type` in blocks of `block` elements along `dim`:
/// blocks, the other dimension, elements of a block.
mlir::RankedTensorType blockedType(mlir::RankedTensorType type, int64_t dim,
                                   int64_t block);

/// Adds the two functions with the names of conversionName to `module`. Fails,
/// with a diagnostic, where it has another of that name.
mlir::LogicalResult addConversions(mlir::ModuleOp module,
                                   mlir::RankedTensorType type, int64_t dim,
                                   int64_t block);

} // namespace plait

#endif // PLAIT_PASSES_LAYOUT_CONVERSIONS_H
