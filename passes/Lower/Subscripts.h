//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_SUBSCRIPTS_H
#define PLAIT_PASSES_LOWER_SUBSCRIPTS_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"

namespace plait {

/// The indices that `map` yields where its loops are at `loops`.
llvm::SmallVector<mlir::Value> subscripts(mlir::OpBuilder &b,
                                          mlir::Location loc,
                                          mlir::AffineMap map,
                                          mlir::ValueRange loops);

/// Whether consecutive iterations of `loop` index consecutive elements of the
/// last dimension, and one element of the others.
bool isUnitStrideAlong(mlir::AffineMap map, unsigned loop);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_SUBSCRIPTS_H
