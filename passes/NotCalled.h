//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step whose arguments and results change must have no caller: who calls it
// would call something else.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_NOTCALLED_H
#define PLAIT_PASSES_NOTCALLED_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace plait {

/// Fails, with an error that names the caller, where something in the module of
/// `step` calls it or takes its address.
llvm::LogicalResult checkNotCalled(mlir::FunctionOpInterface step);

} // namespace plait

#endif // PLAIT_PASSES_NOTCALLED_H
