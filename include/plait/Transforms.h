//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every rewrite as a plain function, for embedders without a pass manager. None
// owns the module it works in, except fuseForward, which adds functions to it.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TRANSFORMS_H
#define PLAIT_TRANSFORMS_H

#include "plait/Analysis/UpdateDependence.h"
#include "plait/Dialect/Train/Train.h"
#include "plait/Target/TargetOptions.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"

namespace plait {

/// Writes a `train.update` for each parameter of `step` whose update is
/// elementwise arithmetic; the others stay as they are, with a remark.
void raiseUpdates(mlir::FunctionOpInterface step);

/// Gives parameters that products of few rows read a layout of blocks of `block`
/// lanes, and adds the functions that convert (train-block-parameters). Fails,
/// with a diagnostic, where the module has functions of their names.
mlir::LogicalResult blockParameters(mlir::ModuleOp module, int64_t block);

/// The name of the function that brings a tensor into the layout `blocked`, with
/// blocks along dimension `dim`, or, where `isImport` is false, back.
std::string conversionName(bool isImport, llvm::ArrayRef<int64_t> blocked,
                           int64_t dim);

/// The placement that a policy asks for: one of the placements by its name, or
/// `auto`, which is `backward` and weighFusions. Nothing for others.
std::optional<train::Placement> parsePolicy(llvm::StringRef policy);

/// Sets `train.placement` on every update of `step`; what `policy` cannot
/// place stays at baseline, with a remark.
void placeUpdates(mlir::FunctionOpInterface step, train::Placement policy,
                  const UpdateDependence &dependence);

/// Sets `train.apart` on those updates of `step` with placement `backward` for
/// which a loop nest with their gradient would cost more than it saves.
void weighFusions(mlir::FunctionOpInterface step, const TargetOptions &target);

/// Moves the updates of `step` with placement `backward` to where their windows
/// start, and writes clusters.
void fuseBackward(mlir::FunctionOpInterface step);

/// Rewrites `step` into `@<name>_first`, `@<name>` and `@<name>_flush`. Fails,
/// changing nothing, where an update that is to wait cannot, or where another
/// function calls the step.
mlir::LogicalResult fuseForward(mlir::ModuleOp module,
                                mlir::FunctionOpInterface step);

/// Gives each consumer below `root` its own tensor.empty and linalg.fill.
void localizeInits(mlir::Operation *root);

/// Tiles and inlines one cluster.
mlir::LogicalResult fuseCluster(mlir::RewriterBase &rewriter,
                                train::ClusterOp cluster, int64_t panelBytes);

/// Replaces an update by the linalg ops it stands for.
mlir::LogicalResult decomposeUpdate(mlir::RewriterBase &rewriter,
                                    train::UpdateOpInterface update);

} // namespace plait

#endif // PLAIT_TRANSFORMS_H
