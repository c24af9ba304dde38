//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Constructors and registration of Plait's passes and pipelines.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_H
#define PLAIT_PASSES_H

#include "plait/Target/TargetOptions.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Pass/Pass.h"

#include <memory>
#include <string>

namespace plait {

#define GEN_PASS_DECL
#include "plait/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "plait/Passes.h.inc"

/// From what importers write to functions that say what is what; part of the
/// schedule pipeline, and harmless twice.
void buildRolesPipeline(mlir::OpPassManager &pm);
/// `policy` as in train-place. From tensors to clusters. The target matters to
/// `auto` alone.
void buildSchedulePipeline(mlir::OpPassManager &pm, llvm::StringRef policy,
                           const TargetOptions &target = {});
/// From clusters to the LLVM dialect, OpenMP threads included.
void buildLoweringPipeline(mlir::OpPassManager &pm,
                           const TargetOptions &target);

/// --plait-schedule and --plait-to-llvm.
void registerPlaitPipelines();

} // namespace plait

#endif // PLAIT_PASSES_H
