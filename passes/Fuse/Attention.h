//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention: which ops make and read the matrix of each query's weight on each
// key. It is found by what reads what; no framework's names matter.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_FUSE_ATTENTION_H
#define PLAIT_PASSES_FUSE_ATTENTION_H

#include "Axes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/MapVector.h"

#include <string>

namespace plait {

/// An op that makes or reads a matrix of queries and keys, or what is made of its
/// rows.
struct AttentionPart {
  /// What its loops are; for a reshape, the dimensions of its result.
  Axes loops;
  /// False for what only makes an operand, such as a mask, and may have other
  /// readers.
  bool isMember = false;
  /// 0 forward, 1 backward: how often the way from the scores to this op leaves
  /// the members and comes back.
  int stage = 0;
};

/// What runs in one loop over blocks of rows.
struct AttentionStage {
  /// In their order in the block. Matrices of former stages are made again.
  llvm::SmallVector<mlir::Operation *> ops;
  /// What is used outside, or by a later stage.
  llvm::SmallVector<mlir::OpResult> results;
};

struct Attention {
  Attention(mlir::linalg::LinalgOp scores)
      : scores(scores), loc(scores.getLoc()) {}
  /// The product of queries and keys.
  mlir::linalg::LinalgOp scores;
  mlir::Location loc;
  int64_t batches = 1, rows = 0, cols = 0;
  llvm::MapVector<mlir::Operation *, AttentionPart> parts;
  /// The axes of what the parts make.
  llvm::DenseMap<mlir::Value, Axes> axes;
  llvm::SmallVector<AttentionStage> stages;

  bool isMember(mlir::Operation *op) const {
    auto it = parts.find(op);
    return it != parts.end() && it->second.isMember;
  }
  bool isMatrix(mlir::Value value) const {
    auto it = axes.find(value);
    return it != axes.end() && plait::isMatrix(it->second);
  }
  /// Whether `op` adds up something over all blocks of rows.
  bool accumulates(mlir::Operation *op) const;
};

/// Finds the attention that `scores`, a product of two batches, begins. Changes
/// nothing. Where it is none, or a matrix is used by something that needs it as a
/// whole, `reason` says so.
mlir::FailureOr<Attention> findAttention(mlir::linalg::LinalgOp scores,
                                         std::string &reason);

/// Gives each member its stage; a part of findAttention.
void numberStages(Attention &attention);

/// Says what each stage computes and keeps; a part of findAttention.
void collectStages(Attention &attention);

/// Bytes that a row takes in all matrices that `stage` has at a time.
int64_t bytesOfRow(const Attention &attention, const AttentionStage &stage);

/// Writes `stage` as loops over matrices and blocks of at most `blockRows` rows,
/// at the insertion point. `outs` are tensors for the results, and then these.
void emitBlocks(mlir::RewriterBase &rewriter, const Attention &attention,
                const AttentionStage &stage, int64_t blockRows,
                llvm::MutableArrayRef<mlir::Value> outs);

} // namespace plait

#endif // PLAIT_PASSES_FUSE_ATTENTION_H
