//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A convolution that is computed where its operands lie, without columns: which
// loop vectors run along, and which iterations are in registers at a time.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_DIRECTCONVOLUTION_H
#define PLAIT_PASSES_LOWER_DIRECTCONVOLUTION_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace plait {

/// A memref, and how each loop moves in each of its dimensions.
struct WindowOperand {
  mlir::Value memref;
  mlir::AffineMap map;
  /// [dimension][loop]
  llvm::SmallVector<llvm::SmallVector<int64_t>> steps;

  bool dependsOn(unsigned loop) const;
  /// Distance in its last dimension of two neighbours in a vector along `loop`;
  /// 0 if all are the same element. Nothing if they are not in one row.
  std::optional<int64_t> laneStep(unsigned loop) const;
  /// The element that is `iteration` iterations farther, relative.
  llvm::SmallVector<int64_t> offset(llvm::ArrayRef<int64_t> iteration) const;
};

/// output += input * filter, over loops with known extents.
struct DirectConvolution {
  WindowOperand input, filter, output;
  llvm::SmallVector<int64_t> extents;
  unsigned lane; ///< the loop that vectors run along
  int64_t width; ///< elements of a vector
  /// How many iterations of each loop are in registers at a time: of `lane`, a
  /// vector, or all if they are fewer.
  llvm::SmallVector<int64_t> unroll;
  /// The loops that are left, outermost first: parallel ones, then reductions.
  llvm::SmallVector<unsigned> order;

  bool isReduction(unsigned loop) const { return !output.dependsOn(loop); }
  /// How many of the loops in `order` must have begun before what `operand` has
  /// in registers is known.
  size_t level(const WindowOperand &operand) const;
};

/// Calls `visit` for each point of the box [0, extents), in order.
void forEachPoint(llvm::ArrayRef<int64_t> extents,
                  llvm::function_ref<void(llvm::ArrayRef<int64_t>)> visit);

/// The loops of `op`, on buffers, for vectors of `width` elements and at most
/// `registers` of them as sums; or fails and sets `reason`.
mlir::FailureOr<DirectConvolution>
planDirectConvolution(mlir::linalg::LinalgOp op, int64_t width,
                      int64_t registers, llvm::StringRef &reason);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_DIRECTCONVOLUTION_H
