//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What options of a session say about code: the schedule's name, and the target
// that pipelines are told of.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_LIB_DRIVER_SESSIONTARGET_H
#define PLAIT_LIB_DRIVER_SESSIONTARGET_H

#include "plait/Driver/Session.h"

namespace plait::run {

/// What `auto` stands for. It leaves an update at baseline where it cannot place
/// it, and needs no more memory than that.
mlir::FailureOr<std::string> resolveSchedule(mlir::ModuleOp module,
                                             const std::string &name);

/// The cpu's, with what the options say in its place.
mlir::FailureOr<TargetOptions> targetFor(mlir::ModuleOp module,
                                         const SessionOptions &options);

} // namespace plait::run

#endif // PLAIT_LIB_DRIVER_SESSIONTARGET_H
