//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// --emit: a step's code in a file.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_EMIT_H
#define PLAIT_TOOLS_RUN_EMIT_H

#include "Options.h"

#include "mlir/IR/BuiltinOps.h"

namespace plait::run {

/// Compiles the step and writes its code; an exit code.
int runEmission(mlir::ModuleOp module, const RunOptions &options);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_EMIT_H
