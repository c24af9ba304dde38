//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a scheduled step takes and gives, read off its IR before roles are
// lowered away.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DRIVER_STEPSIGNATURE_H
#define PLAIT_DRIVER_STEPSIGNATURE_H

#include "plait/Dialect/Train/Train.h"
#include "plait/Runtime/IndexRange.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace plait::run {

enum class Kind { Param, State, Buffer, Pending, Input, Output };

/// One buffer of a step. `name` is the key of tensor files: `fc1.weight`,
/// `state.fc1.weight.exp_avg`, `x`; pending values have names of their own.
struct Slot {
  Kind kind;
  std::string name;
  runtime::DType dtype;
  runtime::Shape shape;
  /// What the values may be, if they are indices.
  std::optional<runtime::IndexRange> indexRange = std::nullopt;
  /// The dimension that lies in blocks, if `shape` is that of a layout of the
  /// step's own (train-block-parameters).
  std::optional<int64_t> blockedDim = std::nullopt;
  /// Of the argument, or of what is returned; of use as long as the context is.
  mlir::LocationAttr loc = {};

  bool isCarried() const { return kind != Kind::Input && kind != Kind::Output; }
};

/// A function: its arguments, then the results the caller allocates.
struct StepSignature {
  std::string function;
  std::vector<Slot> slots;

  const Slot *find(Kind kind, llvm::StringRef name) const;
};

/// Fails, with a diagnostic, on dynamic shapes and element types that tensor
/// files cannot hold.
mlir::FailureOr<StepSignature> readSignature(mlir::FunctionOpInterface step);

/// The entries of `train.model` of `step`: keys, and the parameters or buffers
/// that they name; none where it has no such attribute.
mlir::FailureOr<std::vector<std::pair<std::string, std::string>>>
readModelKeys(mlir::FunctionOpInterface step, const StepSignature &signature);

/// What became of one update.
struct UpdateReport {
  std::string param;
  std::string placement;
  bool inCluster;
  /// Of gradients that are stored in full: known when buffers are.
  int64_t gradientBytes;
  mlir::Location loc;
};

/// The updates of the scheduled `step`, without the bytes.
std::vector<UpdateReport> reportUpdates(mlir::FunctionOpInterface step);

/// The function to run: `name`, or the only step that carries anything on.
mlir::FailureOr<mlir::FunctionOpInterface> findEntry(mlir::ModuleOp module,
                                                     llvm::StringRef name);

} // namespace plait::run

#endif // PLAIT_DRIVER_STEPSIGNATURE_H
