//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step's code for a file, instead of a session that runs it.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DRIVER_EMIT_H
#define PLAIT_DRIVER_EMIT_H

#include "plait/Codegen/EmitCode.h"
#include "plait/Driver/Session.h"

namespace plait::run {

/// The code of all functions of `module`, under the schedule and for the cpu of
/// the options, which this process need not be able to run. Functions are called
/// as docs/ABI.md says. Diagnostics go to the context's handler.
mlir::FailureOr<std::string> emitStep(mlir::ModuleOp module,
                                      const SessionOptions &options,
                                      CodeFormat format);

} // namespace plait::run

#endif // PLAIT_DRIVER_EMIT_H
