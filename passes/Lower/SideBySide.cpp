//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Side by side: loops of a step that do not depend on each other become one
// parallel loop, an update beside the rest of backward. Where a loop has fewer
// tiles than there are threads, those that it leaves idle take tiles of another.
//
// A function becomes levels, which run one after the other; within a level
// nothing depends on anything else, but serial ops, which stay in order on one
// thread. How a tile computes is not changed, and a level's division among
// threads depends on shapes alone.
//
//===----------------------------------------------------------------------===//

#include "SideBySideLevels.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINSIDEBYSIDE
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
/// Writes a level as one loop over lanes. Threads get equal ranges of lanes, in
/// order, and a lane gets the tiles of each loop that lie at its place. So a
/// thread has the same rows of a weight as where the loop is alone.
class LevelEmitter {
public:
  LevelEmitter(OpBuilder &builder, Location loc, int64_t lanes)
      : b(loc, builder), lanes(lanes) {}

  void emit(ArrayRef<Operation *> serial, ArrayRef<scf::ParallelOp> loops);

private:
  Value cst(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  Value bound(Value lane, int64_t tiles, int64_t shift, int64_t used);
  void emitTiles(scf::ParallelOp loop, Value begin, Value end);

  ImplicitLocOpBuilder b;
  int64_t lanes;
};
} // namespace

/// Loops are put with their tiles between those of others: shifts are eighths of
/// a tile's share of the lanes.
static constexpr int64_t kShifts[] = {0, 4, 2, 6, 1, 5, 3, 7};

/// The first of `tiles` that is of `lane`, one of `used`, or of a later one: tile
/// `i` is of lane `(i + shift / 8) * used / tiles`.
Value LevelEmitter::bound(Value lane, int64_t tiles, int64_t shift,
                          int64_t used) {
  Value scaled = arith::MulIOp::create(b, lane, cst(8 * tiles));
  Value up = arith::AddIOp::create(b, scaled, cst((8 - shift) * used - 1));
  return arith::DivUIOp::create(b, up, cst(8 * used));
}

void LevelEmitter::emitTiles(scf::ParallelOp loop, Value begin, Value end) {
  auto tiles = scf::ForOp::create(b, begin, end, cst(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(tiles.getBody());
  Value rest = tiles.getInductionVar();
  SmallVector<int64_t> counts = *tileCounts(loop);
  for (int64_t dim = counts.size() - 1; dim >= 0; --dim) {
    Value index = rest;
    if (dim > 0) {
      index = arith::RemUIOp::create(b, rest, cst(counts[dim]));
      rest = arith::DivUIOp::create(b, rest, cst(counts[dim]));
    }
    Value offset = arith::MulIOp::create(b, index, loop.getStep()[dim]);
    Value iv = arith::AddIOp::create(b, loop.getLowerBound()[dim], offset);
    loop.getInductionVars()[dim].replaceAllUsesWith(iv);
  }
  Block *body = loop.getBody();
  body->getTerminator()->erase();
  Block *target = tiles.getBody();
  target->getOperations().splice(target->getTerminator()->getIterator(),
                                 body->getOperations());
  loop.erase();
}

void LevelEmitter::emit(ArrayRef<Operation *> serial,
                        ArrayRef<scf::ParallelOp> loops) {
  auto all = scf::ParallelOp::create(
      b, ValueRange{cst(0)}, ValueRange{cst(lanes)}, ValueRange{cst(1)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(all.getBody());
  Value lane = all.getInductionVars().front();
  int64_t used = lanes;
  if (!serial.empty()) {
    // The first lane has no tiles then. It is of the thread that runs what lies
    // between parallel loops, and has read or will read the same.
    Value isFirst =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, lane, cst(0));
    auto branch = scf::IfOp::create(b, isFirst, /*withElseRegion=*/true);
    for (Operation *op : serial)
      op->moveBefore(branch.thenYield());
    b.setInsertionPoint(branch.elseYield());
    lane = arith::SubIOp::create(b, lane, cst(1));
    --used;
  }
  Value next = arith::AddIOp::create(b, lane, cst(1));
  for (auto [i, loop] : llvm::enumerate(loops)) {
    int64_t shift = kShifts[i % std::size(kShifts)];
    int64_t tiles = ShapedType::getNumElements(*tileCounts(loop));
    Value begin = bound(lane, tiles, shift, used);
    Value end = bound(next, tiles, shift, used);
    emitTiles(loop, begin, end);
  }
}

/// Whether the loops of `level` leave a thread idle for its serial ops, and those
/// are worth it.
static bool takesSerial(const Level &level, int64_t lanes) {
  // A few microseconds.
  constexpr int64_t kMinSerialElements = 1 << 15;
  return !level.loops.empty() && level.tiles < lanes &&
         level.serialElements >= kMinSerialElements &&
         level.serialBytes + level.stackBytes <= kMaxStackBytes;
}

static bool isSideBySide(const Level &level, int64_t lanes) {
  return level.loops.size() > 1 || takesSerial(level, lanes);
}

static void rewrite(FunctionOpInterface fn, int64_t lanes) {
  Block &block = fn.getFunctionBody().front();
  Levels levels(block, lanes);
  if (llvm::none_of(levels.get(), [&](const Level &level) {
        return isSideBySide(level, lanes);
      }))
    return;
  Operation *end = block.getTerminator();
  for (Operation *op : llvm::reverse(levels.getFree()))
    op->moveBefore(&block.front());
  for (const Level &level : levels.get()) {
    for (Operation *op : level.serial)
      op->moveBefore(end);
    for (scf::ParallelOp loop : level.loops)
      loop->moveBefore(end);
    for (scf::ParallelOp loop : level.alone)
      loop->moveBefore(end);
    if (!isSideBySide(level, lanes))
      continue;
    OpBuilder builder(end);
    scf::ParallelOp first = level.loops.front();
    LevelEmitter emitter(builder, first.getLoc(), lanes);
    if (takesSerial(level, lanes))
      emitter.emit(level.serial, level.loops);
    else
      emitter.emit({}, level.loops);
  }
}

namespace {
struct SideBySide : plait::impl::TrainSideBySideBase<SideBySide> {
  using Base::Base;
  void runOnOperation() override {
    getOperation()->walk([&](FunctionOpInterface fn) {
      // Callers within a module may pass one buffer twice.
      if (!fn.isExternal() && fn.isPublic() &&
          SymbolTable::symbolKnownUseEmpty(fn, fn->getParentOp()) &&
          fn.getFunctionBody().hasOneBlock())
        rewrite(fn, lanes);
    });
  }
};
} // namespace
