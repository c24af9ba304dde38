//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What waits for the next step under forward fusion. A gradient of which few
// rows are the factors need not be stored to be applied a step later: the
// factors wait, and the gradient is made where it is applied, as in backward
// fusion.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_SCHEDULE_PENDING_H
#define PLAIT_PASSES_SCHEDULE_PENDING_H

#include "plait/Dialect/Train/Train.h"

namespace plait {

/// An update that waits, alone or with the ops that make its gradient.
struct Waiting {
  train::UpdateOpInterface update;
  /// The update, or the cluster that it is in.
  mlir::Operation *op;
  /// The step's arguments that `op` replaces, one for each of its results.
  llvm::SmallVector<mlir::Value> olds;
};

/// A value that waiting updates read, and its role across the step boundary.
struct Pending {
  mlir::Value value;
  train::PendingAttr role;
};

/// What is pending in a step: each value once, whichever updates read it.
struct PendingValues {
  llvm::SmallVector<Pending> values;
  llvm::SmallDenseMap<mlir::Value, unsigned> indices;
};

/// The updates of placement `forward`, wherever in `step` they are.
llvm::SmallVector<train::UpdateOpInterface>
collectForwardUpdates(mlir::FunctionOpInterface step);

/// Puts each of `updates` into a cluster with the ops that make its gradient,
/// where what those read has fewer bytes than the gradient.
void waitWithProducers(llvm::ArrayRef<train::UpdateOpInterface> updates);

/// What waits in `step`, in order.
llvm::SmallVector<Waiting> collectWaiting(mlir::FunctionOpInterface step);

/// Every operand that is neither a parameter nor a state, in order. Its role is
/// that of the first update to read it.
PendingValues collectPending(llvm::ArrayRef<Waiting> waiting);

/// Makes `waiting` read `args`, which were `pending` in the step before.
void takePending(const Waiting &waiting, const PendingValues &pending,
                 mlir::ValueRange args);

} // namespace plait

#endif // PLAIT_PASSES_SCHEDULE_PENDING_H
