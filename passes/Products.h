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

/// Whether register tiles and threads divide `op` as a product. A sum of products
/// for each element of what it makes, as in the gradients of batch-norm and
/// layer-norm, has no rows or columns to be divided by, and reads each factor once:
/// it is a reduction like others.
inline bool isProductOfMatrices(mlir::linalg::LinalgOp op) {
  if (!mlir::linalg::isaContractionOpInterface(op))
    return false;
  auto dims = mlir::linalg::inferContractionDims(op);
  return failed(dims) || !dims->m.empty() || !dims->n.empty();
}

} // namespace plait

#endif // PLAIT_PASSES_PRODUCTS_H
