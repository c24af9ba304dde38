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

/// What the pipelines take from the machine the code is for. Passes never look
/// at the machine they run on.
struct TargetOptions {
  int64_t panelBytes = 131072; ///< bytes of a gradient panel (L2 / 4)
  int64_t registerRows = 6;    ///< rows of a GEMM register tile
  int64_t registerCols = 16;   ///< columns of a GEMM register tile
};

/// `policy` as in train-place. From tensors to clusters.
void buildSchedulePipeline(mlir::OpPassManager &pm, llvm::StringRef policy);
/// From clusters to the LLVM dialect, OpenMP threads included.
void buildLoweringPipeline(mlir::OpPassManager &pm,
                           const TargetOptions &target);

/// --plait-schedule and --plait-to-llvm.
void registerPlaitPipelines();

} // namespace plait

#endif // PLAIT_PASSES_H
