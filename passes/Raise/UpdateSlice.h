//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Update slices: which ops of a plain graph are a parameter's update. They
// answer, and rewrite nothing.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_RAISE_UPDATESLICE_H
#define PLAIT_PASSES_RAISE_UPDATESLICE_H

#include "plait/Dialect/Train/Train.h"

#include "llvm/ADT/SetVector.h"

#include <string>

namespace plait {

/// An argument of a step, and the value the step gives it for the next one.
struct Carried {
  mlir::BlockArgument arg;
  mlir::Value next;
  unsigned result; ///< index among the step's results
};

/// The ops between the gradients of a parameter and its next value.
struct UpdateSlice {
  /// The parameter, followed by its states.
  llvm::SmallVector<Carried> carried;
  /// In program order; only ops of the slice, and the step's results, use what
  /// they make.
  llvm::SmallVector<mlir::Operation *> ops;
  /// What they read: tensors of the parameter's shape, and scalars (of rank 0,
  /// or of no tensor type).
  llvm::SetVector<mlir::Value> gradients, scalars;
  /// Holds a reduction of the parameter's shape to a scalar (a norm).
  bool needsWholeTensor = false;
  /// Where the update goes: behind all it reads, before its results' users.
  mlir::Operation *position = nullptr;

  bool contains(mlir::Operation *op) const;
};

/// Not in a slice, and why.
struct Refusal {
  Carried carried;
  std::string reason;
};

/// The slice of `carried` (the parameter first). Where there is none,
/// `refusals` says which of them cannot be part of one. With `reductions`, ops
/// that reduce the parameter's shape to a scalar may be part of it.
mlir::FailureOr<UpdateSlice>
findUpdateSlice(llvm::ArrayRef<Carried> carried, bool reductions,
                llvm::SmallVectorImpl<Refusal> &refusals);

/// The arguments that `value` is an elementwise function of, of its own shape
/// or scalar, whoever else uses what lies between.
llvm::SetVector<mlir::BlockArgument> elementwiseReads(mlir::Value value);

/// The ops, of any kind, that serve nothing but `nexts`: gradients and updates,
/// but not the forward pass, as long as the step returns a loss.
llvm::DenseSet<mlir::Operation *>
findClosedOps(llvm::ArrayRef<mlir::Value> nexts);

/// What `op` reads: operands, destinations only where their values count, and
/// what its region captures.
llvm::SmallVector<mlir::Value> getValuesRead(mlir::Operation *op);

/// The scalar or tensor that stands behind a value: looks through fills,
/// broadcasts of scalars, and moves between scalars and tensors of rank 0.
mlir::Value lookThroughSplats(mlir::Value value);

/// The constant that every element of `value` is, or null.
mlir::TypedAttr getConstantElement(mlir::Value value);

/// Whether `value` is computed from constants by scalar maths: whoever needs it
/// can compute it again.
bool isConstantMaths(mlir::Value value);

/// Whether `type` is a tensor of rank 0, or no tensor.
bool isScalarLike(mlir::Type type);

} // namespace plait

#endif // PLAIT_PASSES_RAISE_UPDATESLICE_H
