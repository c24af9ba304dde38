//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Aliases: which tensors may be in the buffer of another one? Whoever reads an
// alias of a parameter reads the parameter.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_ANALYSIS_ALIASES_H
#define PLAIT_ANALYSIS_ALIASES_H

#include "mlir/IR/Operation.h"

namespace plait {

/// Ops whose result is (part of) their first operand once bufferized. They read
/// nothing.
bool isView(mlir::Operation *op);

/// All tensors that may hold (part of) `value` unchanged, `value` included: its
/// views, and what branches, loops, selections and clusters hand on. An op that
/// is not known to compute its results anew may hand on each operand. The
/// result of a destination is no alias of it, but its next value.
llvm::SmallVector<mlir::Value> collectAliases(mlir::Value value);

} // namespace plait

#endif // PLAIT_ANALYSIS_ALIASES_H
