//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One loop for several of the same extents.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_FUSE_MERGELOOPS_H
#define PLAIT_PASSES_FUSE_MERGELOOPS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

namespace plait {

/// Replaces `ops`, at least one, by one op that does what they do. They are in
/// order in one block with no others that depend on them between, have the same
/// extents, only parallel loops, and read each other and write by identity
/// maps. `results` are the values used elsewhere; those that `ops` make are
/// replaced by those of the new op, here and where they are used.
void mergeLoops(mlir::RewriterBase &rewriter,
                llvm::ArrayRef<mlir::linalg::LinalgOp> ops,
                llvm::MutableArrayRef<mlir::Value> results);

} // namespace plait

#endif // PLAIT_PASSES_FUSE_MERGELOOPS_H
