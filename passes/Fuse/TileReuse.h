//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tile reuse: elementwise ops of a block work in place. One matrix on the stack does
// for scores, exponentials and weights.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_FUSE_TILEREUSE_H
#define PLAIT_PASSES_FUSE_TILEREUSE_H

#include "Attention.h"

namespace plait {

/// Which tensors may be overwritten by what is made of them.
class TileReuse {
public:
  explicit TileReuse(const AttentionStage &stage);
  /// An input that `op`, which works element by element, may overwrite: one that
  /// the stage makes and nothing reads afterwards.
  mlir::Value find(mlir::linalg::LinalgOp op) const;

private:
  /// What is reshaped has two names for one buffer; the first one.
  mlir::Value nameOf(mlir::Value value) const;

  const AttentionStage &stage;
  llvm::DenseSet<mlir::Value> made;
  llvm::DenseMap<mlir::Value, mlir::Value> source;
  llvm::DenseMap<mlir::Value, mlir::Operation *> lastReader;
};

} // namespace plait

#endif // PLAIT_PASSES_FUSE_TILEREUSE_H
