//===- ContractionEmitter.cpp - Emit a planned contraction ----------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the loops of a ContractionPlan: a grid of tasks, in each the blocks of
// k in ascending order, in each the packing of both operands and a walk over
// register tiles. It takes no decisions of its own except where an edge needs
// another access. Two rules keep results independent of every size in the plan:
// an element of the accumulator is only ever updated by an fma with the next k,
// and it goes through memory unchanged between blocks. Rows and lanes outside
// of the operands repeat the last valid one or are zero; what is computed from
// them is never stored.
//
//===----------------------------------------------------------------------===//

#include "ContractionEmitter.h"
#include "Epilogue.h"
#include "Workspace.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace plait;

//===----------------------------------------------------------------------===//
// Indices and control flow
//===----------------------------------------------------------------------===//

SmallVector<Value>
ContractionEmitter::indices(const ContractionOperand &operand, Value row,
                            Value lane, Value step) {
  SmallVector<Value> result;
  for (auto [dim, loop] : llvm::enumerate(operand.loops)) {
    Value index = loop == RowLoop         ? row
                  : loop == LaneLoop      ? lane
                  : loop == ReductionLoop ? step
                                          : batch[loop - FirstBatch];
    // The first of two dimensions counts blocks, the second their elements.
    ArrayRef<unsigned> loops(operand.loops);
    if (llvm::is_contained(loops.drop_front(dim + 1), loop))
      index = b.createOrFold<arith::DivUIOp>(index, cst(operand.block));
    else if (llvm::is_contained(loops.take_front(dim), loop))
      index = b.createOrFold<arith::RemUIOp>(index, cst(operand.block));
    result.push_back(index);
  }
  return result;
}

/// The valid part of a block of `size` that starts at `begin`.
Value ContractionEmitter::blockSize(Value begin, int64_t size, int64_t extent) {
  if (extent % size == 0)
    return cst(size);
  return min(cst(size), sub(cst(extent), begin));
}

/// Keeps `index` inside of the operand where blocks of `block` overlap its end.
Value ContractionEmitter::clamp(Value index, int64_t extent, int64_t block) {
  return extent % block == 0 ? index : min(index, cst(extent - 1));
}

//===----------------------------------------------------------------------===//
// Workspaces
//===----------------------------------------------------------------------===//

void ContractionEmitter::createWorkspaces() {
  auto workspace = [&](StringRef role, int64_t size) {
    return getWorkspace(b, b.getLoc(), role, size);
  };
  if (p.packLanes)
    laneSpace = workspace("lanes", p.blockLanes * p.packedLaneStride());
  if (p.rowPacking != RowPacking::None)
    rowSpace = workspace("rows", p.blockRows * p.packedRowStride());
  if (p.packAcc)
    accSpace = workspace("acc", p.taskRows * p.blockLanes);
  if (!p.isAccDirect() || c.numRows % p.tileRows || c.numLanes % p.tileLanes())
    edgeSpace = workspace("edge", p.tileRows * p.tileLanes());
}

//===----------------------------------------------------------------------===//
// Register tiles
//===----------------------------------------------------------------------===//

/// Whether the tile lies inside of the accumulator; null if always.
Value ContractionEmitter::isFullTile(Value row, Value lane) {
  Value result;
  auto require = [&](Value begin, int64_t size, int64_t extent) {
    if (extent % size == 0)
      return;
    Value inside = less(begin, cst(extent - size + 1));
    result = result ? b.createOrFold<arith::AndIOp>(result, inside) : inside;
  };
  require(row, p.tileRows, c.numRows);
  require(lane, p.tileLanes(), c.numLanes);
  return result;
}

SmallVector<Value> ContractionEmitter::loadTile(
    Value memref, function_ref<SmallVector<Value>(int64_t, int64_t)> at) {
  SmallVector<Value> acc;
  for (int64_t i = 0; i < p.tileRows; ++i)
    for (int64_t v = 0; v < p.vectorsPerRow; ++v)
      acc.push_back(
          loadVector(memref, at(i, v * p.vectorWidth), p.vectorWidth));
  return acc;
}

SmallVector<Value> ContractionEmitter::loadAccEdge(Value row, Value lane) {
  int64_t lanes = p.tileLanes();
  for (int64_t i = 0; i < p.tileRows * lanes; i += p.vectorWidth)
    vector::StoreOp::create(b, zeros(p.vectorWidth), edgeSpace, cst(i));
  loop(blockSize(row, p.tileRows, c.numRows), 1, [&](Value i) {
    loop(blockSize(lane, lanes, c.numLanes), 1, [&](Value j) {
      Value x = loadScalar(c.acc.memref,
                           indices(c.acc, add(row, i), add(lane, j), nullptr));
      memref::StoreOp::create(b, x, edgeSpace, add(mul(i, lanes), j));
    });
  });
  return loadTile(edgeSpace, [&](int64_t i, int64_t j) {
    return SmallVector<Value>{cst(i * lanes + j)};
  });
}

void ContractionEmitter::storeAccEdge(ValueRange acc, Value row, Value lane,
                                      bool isLast) {
  int64_t lanes = p.tileLanes();
  for (auto [i, value] : llvm::enumerate(acc))
    vector::StoreOp::create(b, value, edgeSpace, cst(i * p.vectorWidth));
  loop(blockSize(row, p.tileRows, c.numRows), 1, [&](Value i) {
    loop(blockSize(lane, lanes, c.numLanes), 1, [&](Value j) {
      Value x = loadScalar(edgeSpace, add(mul(i, lanes), j));
      auto at = indices(c.acc, add(row, i), add(lane, j), nullptr);
      if (isLast && c.epilogue && p.isAccDirect())
        emitEpilogue(b, c, x, at);
      else
        memref::StoreOp::create(b, x, c.acc.memref, at);
    });
  });
}

/// The values of a tile before the first block of k.
SmallVector<Value> ContractionEmitter::firstAcc(Value row, Value lane) {
  if (!c.init)
    return loadAcc(row, lane);
  Value start = vector::BroadcastOp::create(b, vec(p.vectorWidth), c.init);
  return SmallVector<Value>(p.tileRows * p.vectorsPerRow, start);
}

/// The values of a tile before the block that starts at `step`.
SmallVector<Value> ContractionEmitter::startAcc(const Tile &tile, Value step) {
  if (c.numSteps <= p.blockSteps)
    return firstAcc(tile.row, tile.lane);
  if (!c.init && !p.packAcc)
    return loadAcc(tile.row, tile.lane);
  Value isFirst =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, step, cst(0));
  SmallVector<Type> types(p.tileRows * p.vectorsPerRow, vec(p.vectorWidth));
  auto ifOp = scf::IfOp::create(b, types, isFirst, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  scf::YieldOp::create(b, firstAcc(tile.row, tile.lane));
  b.setInsertionPointToStart(ifOp.elseBlock());
  scf::YieldOp::create(b, p.packAcc ? loadPackedAcc(tile)
                                    : loadAcc(tile.row, tile.lane));
  return ifOp.getResults();
}

/// Where vector `n` of a tile is in the workspace of sums.
Value ContractionEmitter::packedAccAt(const Tile &tile, int64_t n) {
  Value base =
      add(mul(tile.rowInTask, p.blockLanes), mul(tile.laneInBlock, p.tileRows));
  return add(base, n * p.vectorWidth);
}

SmallVector<Value> ContractionEmitter::loadPackedAcc(const Tile &tile) {
  SmallVector<Value> acc;
  for (int64_t n = 0; n < p.tileRows * p.vectorsPerRow; ++n)
    acc.push_back(loadVector(accSpace, packedAccAt(tile, n), p.vectorWidth));
  return acc;
}

SmallVector<Value> ContractionEmitter::loadAcc(Value row, Value lane) {
  auto direct = [&] {
    return loadTile(c.acc.memref, [&](int64_t i, int64_t j) {
      return indices(c.acc, add(row, i), add(lane, j), nullptr);
    });
  };
  if (!p.isAccDirect())
    return loadAccEdge(row, lane);
  Value full = isFullTile(row, lane);
  if (!full)
    return direct();
  SmallVector<Type> types(p.tileRows * p.vectorsPerRow, vec(p.vectorWidth));
  auto ifOp = scf::IfOp::create(b, types, full, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  scf::YieldOp::create(b, direct());
  b.setInsertionPointToStart(ifOp.elseBlock());
  scf::YieldOp::create(b, loadAccEdge(row, lane));
  return ifOp.getResults();
}

void ContractionEmitter::storeAccDirect(ValueRange acc, Value row, Value lane,
                                        bool isLast) {
  for (auto [n, value] : llvm::enumerate(acc)) {
    int64_t i = n / p.vectorsPerRow, v = n % p.vectorsPerRow;
    auto at =
        indices(c.acc, add(row, i), add(lane, v * p.vectorWidth), nullptr);
    if (isLast && c.epilogue)
      emitEpilogue(b, c, value, at);
    else
      vector::StoreOp::create(b, value, c.acc.memref, at);
  }
}

void ContractionEmitter::storeAcc(ValueRange acc, Value row, Value lane,
                                  bool isLast) {
  if (!p.isAccDirect())
    return storeAccEdge(acc, row, lane, isLast);
  Value full = isFullTile(row, lane);
  if (!full)
    return storeAccDirect(acc, row, lane, isLast);
  auto ifOp = scf::IfOp::create(b, full, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  storeAccDirect(acc, row, lane, isLast);
  b.setInsertionPointToStart(ifOp.elseBlock());
  storeAccEdge(acc, row, lane, isLast);
}

/// Keeps the sums of a tile behind the block that starts at `step`.
void ContractionEmitter::keepAcc(ValueRange acc, const Tile &tile, Value step) {
  bool isOnly = c.numSteps <= p.blockSteps;
  if (isOnly || (!c.epilogue && !p.packAcc))
    return storeAcc(acc, tile.row, tile.lane, /*isLast=*/isOnly);
  Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, step,
                                       cst(c.numSteps - p.blockSteps));
  auto ifOp = scf::IfOp::create(b, isLast, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  storeAcc(acc, tile.row, tile.lane, /*isLast=*/true);
  b.setInsertionPointToStart(ifOp.elseBlock());
  if (!p.packAcc)
    return storeAcc(acc, tile.row, tile.lane, /*isLast=*/false);
  for (auto [n, value] : llvm::enumerate(acc))
    vector::StoreOp::create(b, value, accSpace, packedAccAt(tile, n));
}

void ContractionEmitter::prefetch(const ContractionOperand &operand, Value row,
                                  Value lane, Value step) {
  memref::PrefetchOp::create(
      b, operand.memref, indices(operand, row, lane, step), /*isWrite=*/false,
      /*localityHint=*/3, /*isDataCache=*/true);
}

/// Asks for the lanes of a panel some steps ahead, line by line.
void ContractionEmitter::prefetchLanes(Value lane, Value step) {
  constexpr int64_t kSteps = 64, kLine = 16;
  Value ahead = min(add(step, kSteps), cst(c.numSteps - 1));
  for (int64_t v = 0; v < p.vectorWidth; v += kLine)
    prefetch(c.lanes, nullptr, add(lane, v), ahead);
}

/// Asks for what a tile further down reads of the panel that `step` is in. Each
/// step reads a line of each row, which the processor takes for no stream.
void ContractionEmitter::prefetchRows(Value row, Value step) {
  constexpr int64_t kTiles = 4;
  if (c.numRows < p.tileRows)
    return;
  Value ahead = min(add(row, kTiles * p.tileRows), cst(c.numRows - p.tileRows));
  // The tile's part of a panel is contiguous: each step asks for as much of it.
  Value block = cst(c.rows.block);
  Value at = mul(b.createOrFold<arith::RemUIOp>(step, block), p.tileRows);
  Value begin = sub(step, b.createOrFold<arith::RemUIOp>(step, block));
  prefetch(c.rows, add(ahead, b.createOrFold<arith::DivUIOp>(at, block)),
           nullptr, add(begin, b.createOrFold<arith::RemUIOp>(at, block)));
}

/// The loop over k of one register tile: per step one vector (or a few) of
/// lanes, and one broadcast element for each row.
void ContractionEmitter::emitTile(const Tile &tile, Range steps) {
  auto [row, lane, rowInBlock, laneInBlock, rowInTask] = tile;
  SmallVector<Value> rowIndex;
  for (int64_t i = 0; i < p.tileRows; ++i)
    rowIndex.push_back(clamp(add(row, i), c.numRows, p.tileRows));
  Value rowBase = mul(rowInBlock, p.packedRowStride());
  Value laneBase = mul(laneInBlock, p.packedLaneStride());
  auto loadRow = [&](int64_t i, Value k) {
    if (p.rowPacking == RowPacking::None)
      return loadScalar(c.rows.memref, indices(c.rows, rowIndex[i], nullptr,
                                               add(steps.begin, k)));
    if (p.rowPacking == RowPacking::RowMajor)
      return loadScalar(rowSpace,
                        add(add(rowBase, i * p.packedRowStride()), k));
    return loadScalar(rowSpace, add(add(rowBase, mul(k, p.tileRows)), i));
  };
  auto loadLanes = [&](int64_t v, Value k) {
    int64_t offset = v * p.vectorWidth;
    if (p.packLanes) {
      Value at = add(add(laneBase, mul(k, p.tileLanes())), offset);
      return loadVector(laneSpace, at, p.vectorWidth);
    }
    // A tile may reach behind the last panel: that is read again, for nothing.
    Value at = add(lane, offset), step = add(steps.begin, k);
    if (c.numLanes % p.tileLanes())
      at = min(at, cst(c.numLanes - p.vectorWidth));
    if (c.lanes.isPanelled())
      prefetchLanes(at, step);
    return loadVector(c.lanes.memref, indices(c.lanes, nullptr, at, step),
                      p.vectorWidth);
  };

  SmallVector<Value> init = startAcc(tile, steps.begin);
  auto forOp = scf::ForOp::create(b, cst(0), steps.size, cst(1), init);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(forOp.getBody());
    Value k = forOp.getInductionVar();
    if (p.packAcc)
      prefetchRows(row, add(steps.begin, k));
    SmallVector<Value> acc(forOp.getRegionIterArgs()), vectors;
    for (int64_t v = 0; v < p.vectorsPerRow; ++v)
      vectors.push_back(loadLanes(v, k));
    for (int64_t i = 0; i < p.tileRows; ++i) {
      Value x =
          vector::BroadcastOp::create(b, vec(p.vectorWidth), loadRow(i, k));
      for (int64_t v = 0; v < p.vectorsPerRow; ++v) {
        Value &a = acc[i * p.vectorsPerRow + v];
        a = vector::FMAOp::create(b, x, vectors[v], a);
      }
    }
    scf::YieldOp::create(b, acc);
  }
  keepAcc(forOp.getResults(), tile, steps.begin);
}

//===----------------------------------------------------------------------===//
// Blocks and grid
//===----------------------------------------------------------------------===//

/// One tile of the grid: all of k for a panel of rows and lanes.
void ContractionEmitter::emitTask(Value row, Value lane) {
  Value taskEnd = add(row, blockSize(row, p.taskRows, c.numRows));
  Range lanes{lane, blockSize(lane, p.blockLanes, c.numLanes)};
  loop(cst(c.numSteps), p.blockSteps, [&](Value k) {
    Range steps{k, blockSize(k, p.blockSteps, c.numSteps)};
    if (p.packLanes)
      packLanes(lanes, steps);
    loop(row, taskEnd, p.blockRows, [&](Value block) {
      Range rows{block, blockSize(block, p.blockRows, c.numRows)};
      packRows(rows, steps);
      emitTiles(row, rows, lanes, steps);
    });
  });
  if (c.epilogue && !p.isAccDirect())
    emitTaskEpilogue({row, sub(taskEnd, row)}, lanes);
}

/// The epilogue of a task whose tiles lie across the rows of the accumulator, and
/// are stored element by element: in vectors, while the sums are in the cache.
void ContractionEmitter::emitTaskEpilogue(Range rows, Range lanes) {
  SmallVector<Value> begins, ends;
  for (unsigned loop : c.acc.loops) {
    Range range = loop == RowLoop    ? rows
                  : loop == LaneLoop ? lanes
                                     : Range{batch[loop - FirstBatch], cst(1)};
    begins.push_back(range.begin);
    ends.push_back(add(range.begin, range.size));
  }
  emitEpilogue(b, c, begins, ends, p.vectorWidth);
}

/// The register tiles of one block. Usually the lanes of a tile stay in the
/// first cache while the rows, fewer bytes per step, come from the second.
void ContractionEmitter::emitTiles(Value taskRow, Range rows, Range lanes,
                                   Range steps) {
  auto tile = [&](Value i, Value j) {
    Value row = add(rows.begin, i);
    emitTile({row, add(lanes.begin, j), i, j, sub(row, taskRow)}, steps);
  };
  if (p.lanesInner)
    loop(rows.size, p.tileRows, [&](Value i) {
      loop(lanes.size, p.tileLanes(), [&](Value j) { tile(i, j); });
    });
  else
    loop(lanes.size, p.tileLanes(), [&](Value j) {
      loop(rows.size, p.tileRows, [&](Value i) { tile(i, j); });
    });
}

void ContractionEmitter::emitGrid(bool isParallel) {
  SmallVector<int64_t> extents(c.batch), sizes(c.batch.size(), 1);
  extents.append({c.numRows, c.numLanes});
  sizes.append({p.taskRows, p.blockLanes});
  if (p.lanesFirst) {
    std::swap(extents.back(), extents[c.batch.size()]);
    std::swap(sizes.back(), sizes[c.batch.size()]);
  }
  auto body = [&](ValueRange ivs) {
    llvm::append_range(batch, ivs.drop_back(2));
    createWorkspaces();
    Value outer = ivs[ivs.size() - 2], inner = ivs.back();
    emitTask(p.lanesFirst ? inner : outer, p.lanesFirst ? outer : inner);
  };
  SmallVector<Value> begins, ends, steps;
  for (auto [extent, size] : llvm::zip_equal(extents, sizes)) {
    begins.push_back(cst(0));
    ends.push_back(cst(extent));
    steps.push_back(cst(size));
  }
  OpBuilder::InsertionGuard guard(b);
  if (isParallel) {
    auto parallelOp = scf::ParallelOp::create(b, begins, ends, steps);
    b.setInsertionPointToStart(parallelOp.getBody());
    return body(parallelOp.getInductionVars());
  }
  SmallVector<Value> ivs;
  for (auto [begin, end, step] : llvm::zip_equal(begins, ends, steps)) {
    auto forOp = scf::ForOp::create(b, begin, end, step);
    b.setInsertionPointToStart(forOp.getBody());
    ivs.push_back(forOp.getInductionVar());
  }
  body(ivs);
}

void ContractionEmitter::emit(bool allowParallel) {
  emitGrid(allowParallel && p.isLarge &&
           !isInParallelLoop(b.getInsertionBlock()));
}

void plait::emitContraction(OpBuilder &builder, Location loc,
                            const ContractionPlan &plan,
                            const ContractionTarget &target) {
  ContractionEmitter(builder, loc, plan).emit(target.parallel);
}
