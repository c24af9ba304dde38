//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Training: runs the steps that the command line asks for, and writes what it
// asks for on the way and at the end.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_TRAINING_H
#define PLAIT_TOOLS_RUN_TRAINING_H

#include "Options.h"
#include "Reasons.h"

#include "plait/Driver/Session.h"

namespace plait::run {

/// Compiles the step under one schedule and trains; an exit code. `idleBytes` is
/// what was resident before `tensors` were read.
int runTraining(mlir::ModuleOp module, const RunOptions &options,
                Tensors &tensors, ReasonCollector &reasons, int64_t idleBytes);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_TRAINING_H
