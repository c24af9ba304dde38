//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which convolutions become products of tiles, and of which tiles.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_CONVOLUTIONPLAN_H
#define PLAIT_PASSES_LOWER_CONVOLUTIONPLAN_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace plait {

/// The loops of a convolution by role, and what is done at a time.
struct Convolution {
  llvm::SmallVector<unsigned> groups; ///< loops of all three operands
  unsigned channel;                   ///< the loop of the filter and the output
  llvm::SmallVector<unsigned>
      places; ///< images and their pixels, as the output lies
  llvm::SmallVector<unsigned>
      pixels;                        ///< those of the places that are no images
  llvm::SmallVector<unsigned> steps; ///< reduction loops, as the filter lies
  llvm::SmallVector<int64_t> tile;   ///< extent of each loop in one product
  bool placesInner; ///< whether a row of the columns is of places
  /// Whether tiles are too few to be divided among threads: then all places
  /// are one tile, and its copies and its product are divided.
  bool isShared;
};

/// The loops that `map` yields, in order; fails if an index is not one loop.
mlir::FailureOr<llvm::SmallVector<unsigned>> loopsOf(mlir::AffineMap map);

/// Whether `op` multiplies two operands and adds, in f32 and static shapes that are
/// not empty, on tensors or on buffers; or sets `reason`.
mlir::LogicalResult isStaticMultiplyAdd(mlir::linalg::LinalgOp op,
                                        llvm::StringRef &reason);

/// The roles of the loops of `op`, on tensors or on buffers, and the sizes of a
/// tile; or fails and sets `reason`. `op` must be a convolution to upstream's
/// `isaConvolutionOpInterface`.
mlir::FailureOr<Convolution> planConvolution(mlir::linalg::LinalgOp op,
                                             llvm::StringRef &reason);

/// Whether train-lower-convolutions will lower `op`, on tensors or on buffers.
bool becomesProducts(mlir::linalg::LinalgOp op);

/// Whether `op`, on tensors or on buffers, is a convolution that an elementwise op
/// behind it can be done with, tile by tile.
bool takesEpilogue(mlir::linalg::LinalgOp op);

/// Whether `op`, on tensors or on buffers, gives each element of its result a value
/// and reads none of them: a fill, or a bias for each element.
bool givesFirstValues(mlir::linalg::LinalgOp op);

/// On buffers: the op that gives the output of `conv` its first values, if there is
/// nothing between them with an effect on memory. Null if there is none.
mlir::linalg::LinalgOp findFirstValues(mlir::linalg::LinalgOp conv);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_CONVOLUTIONPLAN_H
