//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which contractions are products of matrices.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_PRODUCTS_H
#define PLAIT_PASSES_PRODUCTS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace plait {

/// Whether all loops that are not reduced index all operands.
inline bool readsFactorsOnce(mlir::linalg::LinalgOp op) {
  llvm::SmallVector<unsigned> loops;
  op.getParallelDims(loops);
  return llvm::all_of(op.getIndexingMapsArray(), [&](mlir::AffineMap map) {
    return llvm::all_of(
        loops, [&](unsigned loop) { return map.isFunctionOfDim(loop); });
  });
}

/// Whether register tiles and threads divide `op` as a product. A sum of products
/// for each element of what it makes, as in the gradients of batch-norm and
/// layer-norm, has no rows or columns to be divided by: it is a reduction like
/// others.
inline bool isProductOfMatrices(mlir::linalg::LinalgOp op) {
  return mlir::linalg::isaContractionOpInterface(op) && !readsFactorsOnce(op);
}

} // namespace plait

#endif // PLAIT_PASSES_PRODUCTS_H
