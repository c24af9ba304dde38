//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From the text of a module to a session, for callers without an MLIRContext.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DRIVER_COMPILE_H
#define PLAIT_DRIVER_COMPILE_H

#include "plait/Driver/Session.h"

namespace plait::run {

/// Parses `text` and compiles its step. The error is all of MLIR's diagnostics
/// that are errors, with their notes: "step.mlir:LINE:COLUMN: error: ...", a
/// line each. The context does not outlive the call.
runtime::Expected<std::unique_ptr<Session>>
compileText(llvm::StringRef text, const SessionOptions &options);

} // namespace plait::run

#endif // PLAIT_DRIVER_COMPILE_H
