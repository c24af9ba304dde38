//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Axes: what a dimension of a tensor, or a loop, is to loops over the matrices
// of a batch and over blocks of their rows.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_FUSE_AXES_H
#define PLAIT_PASSES_FUSE_AXES_H

#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/Support/LLVM.h"

namespace plait {

struct Axis {
  enum Kind {
    Whole, ///< none of the others: always there as a whole
    Batch, ///< (part of) the number of the matrix
    Row,   ///< the row of the matrix
    Col    ///< its column
  };
  Kind kind = Whole;
  /// Of a batch, whose index is (number / stride) % extent: batches of several
  /// dimensions have one number.
  int64_t stride = 0;

  bool operator==(const Axis &other) const {
    return kind == other.kind && stride == other.stride;
  }
  bool operator!=(const Axis &other) const { return !(*this == other); }
};

using Axes = llvm::SmallVector<Axis>;

/// Whether a tensor has rows and columns: what must not be in memory as a whole.
bool isMatrix(llvm::ArrayRef<Axis> axes);

/// Whether it has an element or a few for each row and no columns.
bool isRowStatistic(llvm::ArrayRef<Axis> axes, llvm::ArrayRef<int64_t> shape);

/// Whether two dimensions are the same axis: slices would be its diagonal.
bool hasRepeatedAxis(llvm::ArrayRef<Axis> axes);

/// Over how many matrices the batch axes go.
int64_t countBatches(llvm::ArrayRef<Axis> axes, llvm::ArrayRef<int64_t> shape);

/// The axes of what `reassociation` expands to `shape`.
mlir::FailureOr<Axes>
expandAxes(llvm::ArrayRef<Axis> axes, llvm::ArrayRef<int64_t> shape,
           llvm::ArrayRef<mlir::ReassociationIndices> reassociation);

/// The axes of what a tensor of `shape` is collapsed to.
mlir::FailureOr<Axes>
collapseAxes(llvm::ArrayRef<Axis> axes, llvm::ArrayRef<int64_t> shape,
             llvm::ArrayRef<mlir::ReassociationIndices> reassociation);

/// The axes of a tensor that `map` reads or writes in loops that are `loops`; of
/// constant subscripts, none.
Axes axesThrough(mlir::AffineMap map, llvm::ArrayRef<Axis> loops);

} // namespace plait

#endif // PLAIT_PASSES_FUSE_AXES_H
