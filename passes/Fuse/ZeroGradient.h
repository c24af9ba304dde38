//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whether an optimizer leaves an element as it is where its gradient is zero. It is
// told by the arithmetic of the update; no optimizer's name matters.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_FUSE_ZEROGRADIENT_H
#define PLAIT_PASSES_FUSE_ZEROGRADIENT_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace plait {

/// Whether each destination of `update`, an elementwise op, gets what it had where
/// the element of `gradient` is +0, the sign of a zero included. Scalars are taken to
/// be finite and positive, and what a square root is taken of not to be negative.
bool keepsAtZeroGradient(mlir::linalg::GenericOp update,
                         mlir::OpOperand *gradient);

} // namespace plait

#endif // PLAIT_PASSES_FUSE_ZEROGRADIENT_H
