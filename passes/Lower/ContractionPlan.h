//===- ContractionPlan.h - Roles and blocks of a contraction ----*- C++ -*-===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A contraction as the emitter sees it, and the decisions taken for it. One
// operand gives the rows of a register tile (its elements are broadcast), the
// other one the lanes; which of the two is a decision, and not a property of
// the op.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_CONTRACTIONPLAN_H
#define PLAIT_PASSES_LOWER_CONTRACTIONPLAN_H

#include "LowerContractions.h"

namespace plait {

/// The loops of a contraction. Batch loop `i` is numbered FirstBatch + i.
enum ContractionLoop : unsigned {
  RowLoop,
  LaneLoop,
  ReductionLoop,
  FirstBatch
};

/// A memref and, for each of its dimensions, the loop that indexes it. One loop
/// may index two: the first by blocks of `block` iterations, the second within a
/// block.
struct ContractionOperand {
  mlir::Value memref;
  llvm::SmallVector<unsigned> loops;
  int64_t block = 0;

  /// Whether `width` consecutive iterations of `loop`, from a multiple of it on,
  /// are neighbours in memory, so that a vector of them is one load.
  bool isContiguousAlong(unsigned loop, int64_t width = 1) const;

  /// Whether another dimension lies between the two of a loop: blocks are
  /// panels, as of a parameter with a layout of its own.
  bool isPanelled() const;
};

/// acc[batch, row, lane] += rows[batch, row, k] * lanes[batch, lane, k], each
/// operand with its dimensions in any order. An extent is 1 where the op has no
/// such loop.
struct Contraction {
  ContractionOperand rows, lanes, acc;
  int64_t numRows = 1, numLanes = 1, numSteps = 1;
  llvm::SmallVector<int64_t> batch;
  /// Where the chains start instead of at the value in memory, if not null: the
  /// f32 scalar that a fill would have stored there.
  mlir::Value init;
  /// What is applied to the sums before they are stored, if not null.
  mlir::linalg::GenericOp epilogue;

  /// Takes `view` for the accumulator: itself, or the same memory with one
  /// dimension for each loop.
  void collapseAcc(mlir::Value view);

  /// Exchanges the roles of the two operands, i.e. computes the transpose.
  void swapRoles();
};

/// How the elements of a packed row block are laid out.
enum class RowPacking { None, RowMajor, Interleaved };

/// All sizes that the emitted loops use. Each is a function of the shape and
/// the target only: a plan must never depend on the number of threads.
struct ContractionPlan {
  Contraction contraction;
  /// Register tile: tileRows x (vectorsPerRow vectors of vectorWidth lanes).
  int64_t tileRows, vectorWidth, vectorsPerRow;
  /// Blocks that are packed at a time, in elements; blockRows and blockLanes
  /// are multiples of the register tile.
  int64_t blockRows, blockLanes, blockSteps;
  /// Rows of one tile of the parallel grid, which is blockLanes wide.
  int64_t taskRows;
  RowPacking rowPacking;
  bool packLanes;
  /// Whether sums are kept in a workspace, tile by tile, until all of k is done.
  bool packAcc;
  /// Whether the walk over register tiles of a block goes along the lanes
  /// first, i.e. through the accumulator as it lies in memory.
  bool lanesInner;
  /// Worth a parallel loop at all, and of about how many tasks.
  bool isLarge;
  int64_t numTasks;
  /// Whether threads divide lanes: tasks of the same lanes are neighbours then,
  /// else those of the same rows.
  bool lanesFirst;
  /// Estimated cost in cycles, to compare plans of one contraction.
  double cost;

  int64_t tileLanes() const { return vectorWidth * vectorsPerRow; }
  bool isAccDirect() const {
    return contraction.acc.isContiguousAlong(LaneLoop, vectorWidth);
  }
  /// Distance of two rows in a packed row block. The 16 elements of padding
  /// keep rows of a power-of-two length out of the same cache set.
  int64_t packedRowStride() const { return blockSteps + 16; }
  /// Distance of two lanes of different tiles in a packed lane block, with one
  /// step of padding for the same reason.
  int64_t packedLaneStride() const { return blockSteps + 1; }
};

/// Returns true if `op` has the body and loops of a contraction, whether or not
/// it is one that can be lowered. A sum of products for each element is a reduction
/// like others (Products.h), in which nothing is used twice.
bool isContractionCandidate(mlir::linalg::LinalgOp op);

/// Returns true if `op`, on tensors or buffers, is an f32 contraction of static
/// shape with one reduction and at most two other loops.
bool isMatrixProduct(mlir::linalg::LinalgOp op);

/// For an f32 contraction of static shape, on tensors or buffers, of two matrices
/// with m, n or k in blocks: which dimensions of the result make one of a matrix
/// whose elements lie as they do. Nothing if there is no such matrix.
std::optional<llvm::SmallVector<mlir::ReassociationIndices>>
blocksOfResult(mlir::linalg::LinalgOp op);

/// Returns the contraction that `op` computes, with m as rows and n as lanes,
/// or sets `reason`.
mlir::FailureOr<Contraction> matchContraction(mlir::linalg::LinalgOp op,
                                              llvm::StringRef &reason);

/// Returns the cheapest plan for `contraction`.
ContractionPlan planContraction(const Contraction &contraction,
                                const ContractionTarget &target);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_CONTRACTIONPLAN_H
