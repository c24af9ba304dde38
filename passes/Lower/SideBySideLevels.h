//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which loops of a function may run side by side. It decides, and changes nothing.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_SIDEBYSIDELEVELS_H
#define PLAIT_PASSES_LOWER_SIDEBYSIDELEVELS_H

#include "Footprint.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace plait {

/// The numbers of iterations of a parallel loop, if they are known, none is 0,
/// and the loop has no results.
std::optional<llvm::SmallVector<int64_t>>
tileCounts(mlir::scf::ParallelOp loop);

/// Of loops beside each other: a worker's stack has 4 MiB where nobody asks for
/// more.
constexpr int64_t kMaxStackBytes = 1 << 20;

/// What may run at the same time: loops, and ops that one thread runs in order.
struct Level {
  llvm::SmallVector<mlir::Operation *> serial;
  llvm::SmallVector<mlir::scf::ParallelOp> loops;
  /// Loops that would find no idle thread beside `loops`, or no room on the
  /// stack.
  llvm::SmallVector<mlir::scf::ParallelOp> alone;
  /// Loads and stores of `serial`, of vectors as many as they have elements.
  int64_t serialElements = 0;
  /// Of `loops`.
  int64_t tiles = 0;
  /// Of buffers within `serial` and within `loops`: a thread has both, once they
  /// are in one parallel loop.
  int64_t serialBytes = 0, stackBytes = 0;
};

/// The levels of a block, in the order in which they run.
class Levels {
public:
  /// Loops of `lanes` tiles and more fill the threads alone.
  Levels(mlir::Block &block, int64_t lanes);

  llvm::ArrayRef<Level> get() const { return levels; }
  /// Ops that touch no memory and depend on none that does, and stack buffers.
  llvm::ArrayRef<mlir::Operation *> getFree() const { return free; }

private:
  /// Neighbouring ops that exchange values, or a loop.
  struct Unit {
    llvm::SmallVector<mlir::Operation *> ops;
    Footprint footprint;
    mlir::scf::ParallelOp loop;
    /// More tiles than there are lanes: it runs alone.
    int64_t tiles = 0;
    int64_t elements = 0, stackBytes = 0;
    /// Earlier units that it depends on.
    llvm::SmallVector<unsigned> before;
    /// Levels between which it may run, and the one that is chosen.
    int64_t first = 0, last = 0, level = 0;
    bool isCritical() const { return first == last; }
  };

  void collectUnits(mlir::Block &block);
  void finish(Unit &unit);
  void findDependences();
  void findRanges();
  void chooseLevels(int64_t lanes);
  void put(Unit &unit, int64_t index, int64_t lanes);
  /// Serial units follow each other on one thread.
  int64_t distance(const Unit &a, const Unit &b) const {
    return a.loop || b.loop || a.footprint.isUnknown() ||
           b.footprint.isUnknown();
  }

  llvm::SmallVector<mlir::Operation *> free;
  llvm::SmallVector<Unit> units;
  llvm::SmallVector<Level> levels;
};

} // namespace plait

#endif // PLAIT_PASSES_LOWER_SIDEBYSIDELEVELS_H
