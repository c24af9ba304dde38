//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_RAISE_REPLACEABLE_H
#define PLAIT_PASSES_RAISE_REPLACEABLE_H

#include "mlir/IR/Value.h"

namespace plait {

/// Whether `value` is a parameter or state, a view of one, or may be one. Who
/// reads it later makes its update wait.
bool mayBeReplaced(mlir::Value value);

} // namespace plait

#endif // PLAIT_PASSES_RAISE_REPLACEABLE_H
