//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes a product with few rows, such as that of a weight and some samples, as
// dot products: both operands are read along k, where they lie. Register tiles
// would have to transpose the weight first, for too little use.
//
// Where all samples fit into a tile, it walks along the whole of k, and the
// weight is read once. Otherwise k is walked in blocks, so that a tile's rows of
// the weight stay in the first-level cache for all tiles of samples.
//
// Element j of a vector sums every W-th product of a block from the j-th on, and
// the vector's halves are added until one element is left. That order depends on
// k, the block and the width alone, so a panel of rows has the bits of the whole
// product.
//
//===----------------------------------------------------------------------===//

#include "DotEmitter.h"
#include "Epilogue.h"
#include "Lanes.h"
#include "Work.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace plait;

namespace {
/// Rows and lanes whose sums are in registers at a time.
struct Tile {
  Value row;
  int64_t rows;
  Value lane;
  int64_t lanes;
};

class DotEmitter {
public:
  DotEmitter(OpBuilder &builder, Location loc, const Contraction &contraction,
             const ContractionTarget &target, int64_t blockSteps)
      : b(loc, builder), c(contraction),
        width(std::max<int64_t>(2, target.registerCols / 2)),
        tileLanes(c.numLanes <= kFewLanes ? c.numLanes : kTileLanes),
        // As many sums at a time as keep the fma units busy.
        tileRows(
            std::clamp<int64_t>(2 * target.registerRows / tileLanes, 1, 8)),
        blockSteps(std::min(blockSteps, c.numSteps)) {}

  void emit(bool isParallel);

private:
  // A tile of 4 x 4 sums loads a vector for each two multiply-adds.
  static constexpr int64_t kFewLanes = 8, kTileLanes = 4;

  Value cst(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  Value add(Value x, int64_t y) {
    return y ? b.createOrFold<arith::AddIOp>(x, cst(y)) : x;
  }
  void loop(Value begin, Value end, int64_t step,
            function_ref<void(Value)> body);
  VectorType vec(int64_t size) {
    return VectorType::get({size}, b.getF32Type());
  }
  SmallVector<Value> indices(const ContractionOperand &operand, Value row,
                             Value lane, Value step);
  Value load(const ContractionOperand &operand, Value row, Value lane,
             Value step, Value mask);
  SmallVector<Value> addProducts(const Tile &tile, Value step, ValueRange sums,
                                 Value mask);
  SmallVector<Value> emitSums(const Tile &tile, Value begin, int64_t steps);
  void store(Value sums, Value row, Value lane, bool isFirst);
  void emitTile(const Tile &tile, Value begin, int64_t steps, bool isFirst);
  void emitBlock(Value row, int64_t rows, Value begin, int64_t steps,
                 bool isFirst);
  void emitRows(Value row, int64_t rows);
  void emitRange(Value begin, Value end);

  ImplicitLocOpBuilder b;
  const Contraction &c;
  int64_t width, tileLanes, tileRows, blockSteps;
};
} // namespace

/// Calls `body` for each `step`-th index from `begin` to `end`.
void DotEmitter::loop(Value begin, Value end, int64_t step,
                      function_ref<void(Value)> body) {
  auto op = scf::ForOp::create(b, begin, end, cst(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  body(op.getInductionVar());
}

SmallVector<Value> DotEmitter::indices(const ContractionOperand &operand,
                                       Value row, Value lane, Value step) {
  return llvm::map_to_vector(operand.loops, [&](unsigned loop) {
    return loop == RowLoop ? row : loop == LaneLoop ? lane : step;
  });
}

/// A vector along k; with a mask, its last elements are zero.
Value DotEmitter::load(const ContractionOperand &operand, Value row, Value lane,
                       Value step, Value mask) {
  SmallVector<Value> at = indices(operand, row, lane, step);
  if (!mask)
    return vector::LoadOp::create(b, vec(width), operand.memref, at);
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(vec(width)));
  return vector::MaskedLoadOp::create(b, vec(width), operand.memref, at, mask,
                                      zeros);
}

/// `sums` of a tile, with the next products added.
SmallVector<Value> DotEmitter::addProducts(const Tile &tile, Value step,
                                           ValueRange sums, Value mask) {
  SmallVector<Value> lanes, next(sums);
  for (int64_t j = 0; j < tile.lanes; ++j)
    lanes.push_back(load(c.lanes, nullptr, add(tile.lane, j), step, mask));
  for (int64_t i = 0; i < tile.rows; ++i) {
    Value x = load(c.rows, add(tile.row, i), nullptr, step, mask);
    for (int64_t j = 0; j < tile.lanes; ++j) {
      Value &sum = next[i * tile.lanes + j];
      sum = vector::FMAOp::create(b, x, lanes[j], sum);
    }
  }
  return next;
}

/// The vectors of sums of a tile over `steps` steps from `begin` on.
SmallVector<Value> DotEmitter::emitSums(const Tile &tile, Value begin,
                                        int64_t steps) {
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(vec(width)));
  SmallVector<Value> sums(tile.rows * tile.lanes, zero);
  int64_t whole = steps / width * width;
  if (whole > 0) {
    auto loop =
        scf::ForOp::create(b, begin, add(begin, whole), cst(width), sums);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(b, addProducts(tile, loop.getInductionVar(),
                                        loop.getRegionIterArgs(), nullptr));
    sums.assign(loop.getResults().begin(), loop.getResults().end());
  }
  if (whole < steps) {
    Value mask =
        vector::CreateMaskOp::create(b, VectorType::get({width}, b.getI1Type()),
                                     ValueRange{cst(steps - whole)});
    sums = addProducts(tile, add(begin, whole), sums, mask);
  }
  return sums;
}

/// Adds `sums`, of consecutive rows from `row` on, to the accumulators of one
/// lane. `isFirst`: those start at what a fill would have stored there.
void DotEmitter::store(Value sums, Value row, Value lane, bool isFirst) {
  auto type = cast<VectorType>(sums.getType());
  if (c.acc.isContiguousAlong(RowLoop)) {
    SmallVector<Value> at = indices(c.acc, row, lane, nullptr);
    Value start =
        isFirst && c.init
            ? vector::BroadcastOp::create(b, type, c.init).getResult()
            : vector::LoadOp::create(b, type, c.acc.memref, at).getResult();
    Value total = arith::AddFOp::create(b, start, sums);
    vector::StoreOp::create(b, total, c.acc.memref, at);
    return;
  }
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    SmallVector<Value> at = indices(c.acc, add(row, i), lane, nullptr);
    Value start = isFirst && c.init
                      ? c.init
                      : memref::LoadOp::create(b, c.acc.memref, at);
    Value sum = vector::ExtractOp::create(b, sums, i);
    memref::StoreOp::create(b, arith::AddFOp::create(b, start, sum),
                            c.acc.memref, at);
  }
}

void DotEmitter::emitTile(const Tile &tile, Value begin, int64_t steps,
                          bool isFirst) {
  SmallVector<Value> sums = emitSums(tile, begin, steps);
  for (int64_t j = 0; j < tile.lanes; ++j)
    for (int64_t i = 0, count; i < tile.rows; i += count) {
      count = llvm::bit_floor<uint64_t>(std::min(width, tile.rows - i));
      SmallVector<Value> column;
      for (int64_t row = i; row < i + count; ++row)
        column.push_back(sums[row * tile.lanes + j]);
      store(addLanesOfEach(b, b.getLoc(), column), add(tile.row, i),
            add(tile.lane, j), isFirst);
    }
}

/// All lanes of some rows, over a block of k.
void DotEmitter::emitBlock(Value row, int64_t rows, Value begin, int64_t steps,
                           bool isFirst) {
  int64_t rest = c.numLanes % tileLanes;
  loop(cst(0), cst(c.numLanes - rest), tileLanes, [&](Value lane) {
    emitTile({row, rows, lane, tileLanes}, begin, steps, isFirst);
  });
  if (rest)
    emitTile({row, rows, cst(c.numLanes - rest), rest}, begin, steps, isFirst);
}

void DotEmitter::emitRows(Value row, int64_t rows) {
  emitBlock(row, rows, cst(0), blockSteps, /*isFirst=*/true);
  int64_t rest = c.numSteps % blockSteps;
  loop(cst(blockSteps), cst(c.numSteps - rest), blockSteps, [&](Value begin) {
    emitBlock(row, rows, begin, blockSteps, /*isFirst=*/false);
  });
  if (rest)
    emitBlock(row, rows, cst(c.numSteps - rest), rest, /*isFirst=*/false);
}

/// All rows from `begin` to `end`: tiles, and what is left one by one.
void DotEmitter::emitRange(Value begin, Value end) {
  Value size = b.createOrFold<arith::SubIOp>(end, begin);
  Value rest = b.createOrFold<arith::RemUIOp>(size, cst(tileRows));
  Value tiled = b.createOrFold<arith::SubIOp>(end, rest);
  loop(begin, tiled, tileRows, [&](Value row) { emitRows(row, tileRows); });
  if (c.numRows % tileRows != 0)
    loop(tiled, end, 1, [&](Value row) { emitRows(row, 1); });
  if (!c.epilogue)
    return;
  // The sums are still in the cache; vectors of those of a tile are short.
  emitEpilogue(b, c, indices(c.acc, begin, cst(0), nullptr),
               indices(c.acc, end, cst(c.numLanes), nullptr), width);
}

void DotEmitter::emit(bool isParallel) {
  if (!isParallel)
    return emitRange(cst(0), cst(c.numRows));
  // A fixed number of parts, whatever the number of threads.
  int64_t tiles = countTiles(countElements(c.numRows, c.numLanes, c.numSteps));
  int64_t size = llvm::alignTo(llvm::divideCeil(c.numRows, tiles), tileRows);
  auto parallel = scf::ParallelOp::create(
      b, ValueRange{cst(0)}, ValueRange{cst(c.numRows)}, ValueRange{cst(size)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(parallel.getBody());
  Value begin = parallel.getInductionVars().front();
  Value end = b.createOrFold<arith::MinSIOp>(add(begin, size), cst(c.numRows));
  emitRange(begin, end);
}

void plait::emitDots(OpBuilder &builder, Location loc, Contraction contraction,
                     const ContractionTarget &target, int64_t blockSteps,
                     bool isNested) {
  if (contraction.numLanes > contraction.numRows)
    contraction.swapRoles();
  bool isLarge = isWorthThreads(contraction.numRows, contraction.numLanes,
                                contraction.numSteps);
  DotEmitter(builder, loc, contraction, target, blockSteps)
      .emit(target.parallel && isLarge && !isNested);
}
