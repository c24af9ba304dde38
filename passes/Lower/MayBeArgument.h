//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// May a tensor be in the buffer of a block's argument? Asked before what is
// carried is written into those buffers.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_LOWER_MAYBEARGUMENT_H
#define PLAIT_LOWER_MAYBEARGUMENT_H

#include "mlir/IR/Builders.h"

namespace plait {

/// Whether `value` is an argument of `block` that `counts`, a part of one, or may
/// be one updated in place. Conservative.
bool mayBeArgument(mlir::Value value, mlir::Block *block,
                   llvm::function_ref<bool(mlir::BlockArgument)> counts);

/// A copy of the tensor `value`, made where the value is.
mlir::Value copyOf(mlir::OpBuilder &b, mlir::Value value);

} // namespace plait

#endif // PLAIT_LOWER_MAYBEARGUMENT_H
