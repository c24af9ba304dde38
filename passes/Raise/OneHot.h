//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sums with one term.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_RAISE_ONEHOT_H
#define PLAIT_PASSES_RAISE_ONEHOT_H

namespace mlir {
class Operation;
} // namespace mlir

namespace plait {

/// Replaces each sum over the classes of what a class index selects, all in `root`,
/// by the term at that index. Returns whether there was one.
bool pickSelectedTerms(mlir::Operation *root);

} // namespace plait

#endif // PLAIT_PASSES_RAISE_ONEHOT_H
