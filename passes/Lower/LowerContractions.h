//===- LowerContractions.h - Loops for matrix products ----------*- C++ -*-===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The entry points that turn bufferized f32 contractions into packed,
// register-tiled loops, and the few numbers of a target they depend on.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_LOWERCONTRACTIONS_H
#define PLAIT_PASSES_LOWER_LOWERCONTRACTIONS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

namespace plait {

/// What the generated loops need to know about the machine. None of it changes
/// a bit of the result.
struct ContractionTarget {
  /// Accumulator rows of a register tile that is `registerCols` wide.
  int64_t registerRows = 6;
  /// Lanes of an accumulator row: two native vectors, and a power of two.
  int64_t registerCols = 16;
  /// Upper bounds of a packed block of the broadcast operand (blockM x blockK)
  /// and of the vector operand (blockK x blockN).
  int64_t blockM = 96;
  int64_t blockN = 256;
  int64_t blockK = 256;
  /// Whether a large contraction may become an scf.parallel.
  bool parallel = true;
};

/// Replaces `op` by loops, or leaves it untouched, emits a remark with the
/// reason and fails.
mlir::LogicalResult lowerContraction(mlir::RewriterBase &rewriter,
                                     mlir::linalg::LinalgOp op,
                                     const ContractionTarget &target);

/// Lowers every contraction below `root` that can be lowered.
void lowerContractions(mlir::Operation *root, const ContractionTarget &target);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_LOWERCONTRACTIONS_H
