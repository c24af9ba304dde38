//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Gradients of one row of a batch.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_FUSE_OUTERPRODUCT_H
#define PLAIT_PASSES_FUSE_OUTERPRODUCT_H

#include "mlir/IR/PatternMatch.h"

namespace plait {

/// Computes, in each elementwise op in `root` that alone reads a product of one step,
/// the elements of that product where it reads them.
void foldOuterProducts(mlir::RewriterBase &rewriter, mlir::Operation *root);

} // namespace plait

#endif // PLAIT_PASSES_FUSE_OUTERPRODUCT_H
