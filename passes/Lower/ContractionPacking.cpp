//===- ContractionPacking.cpp - Pack the blocks of a contraction ----------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the loops that copy a block of either operand into a workspace, in the
// order in which register tiles read it. Which operand is packed in which
// layout is in the plan; here each layout only has several ways to be reached,
// by the direction in which the source is contiguous. Rows and lanes behind the
// end of the operand repeat the last valid one or are zero: their products are
// never stored.
//
//===----------------------------------------------------------------------===//

#include "ContractionEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace plait;

/// Visits `size` steps, sixteen (as two times eight) or eight at a time as long
/// as there are as many. Sixteen are a cache line: with rows of a power-of-two
/// length the line would be gone from the cache before the second half is read.
void ContractionEmitter::loopStepsByEight(Value size,
                                          function_ref<void(Value)> eight,
                                          function_ref<void(Value)> one) {
  auto sixteen = [&](Value k) {
    eight(k);
    eight(add(k, 8));
  };
  if (c.numSteps % 16 == 0) {
    loop(size, 16, sixteen);
    return;
  }
  if (c.numSteps % 8 == 0) {
    loop(size, 8, eight);
    return;
  }
  Value whole = mul(b.createOrFold<arith::DivUIOp>(size, cst(8)), 8);
  loop(whole, 8, eight);
  loop(whole, size, 1, one);
}

void ContractionEmitter::packLanes(Range lanes, Range steps) {
  if (c.lanes.isContiguousAlong(LaneLoop, p.vectorWidth))
    return packLaneRows(lanes, steps);
  if (c.lanes.isContiguousAlong(ReductionLoop, 8) && p.tileLanes() % 8 == 0)
    return packLaneColumns(lanes, steps);
  packLaneScalars(lanes, steps);
}

/// Lanes are neighbours: copy vectors. The walk follows the rows of the source,
/// which are long, rather than the tiles of the destination.
void ContractionEmitter::packLaneRows(Range lanes, Range steps) {
  int64_t width = p.vectorWidth;
  bool isRagged = c.numLanes % p.tileLanes();
  loop(steps.size, 1, [&](Value k) {
    loop(lanes.size, p.tileLanes(), [&](Value tile) {
      for (int64_t v = 0; v < p.vectorsPerRow; ++v) {
        Value lane = add(add(lanes.begin, tile), v * width);
        Value to =
            add(add(mul(tile, p.packedLaneStride()), mul(k, p.tileLanes())),
                v * width);
        Value data;
        if (isRagged) {
          // A vector that starts behind the end has an all-false mask; its
          // address is clamped because it must still be valid.
          Value mask = vector::CreateMaskOp::create(
              b, VectorType::get({width}, b.getI1Type()),
              sub(cst(c.numLanes), lane));
          lane = clamp(lane, c.numLanes, p.tileLanes());
          data = vector::MaskedLoadOp::create(
              b, vec(width), c.lanes.memref,
              indices(c.lanes, nullptr, lane, add(steps.begin, k)), mask,
              zeros(width));
        } else {
          data = loadVector(
              c.lanes.memref,
              indices(c.lanes, nullptr, lane, add(steps.begin, k)), width);
        }
        vector::StoreOp::create(b, data, laneSpace, to);
      }
    });
  });
}

/// Transposes an 8x8 block that is held as eight rows.
static SmallVector<Value> transposeEight(ImplicitLocOpBuilder &b,
                                         SmallVector<Value> rows) {
  // Three rounds exchange blocks of 4, 2 and 1 elements between rows that are
  // as far apart. Each shuffle of the last two rounds stays inside of 128-bit
  // halves.
  for (int64_t distance : {4, 2, 1}) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < 8; ++i) {
      bool upper = i & distance;
      low.push_back(upper ? 8 + i - distance : i);
      high.push_back(upper ? 8 + i : i + distance);
    }
    for (int64_t i = 0; i < 8; ++i) {
      if (i & distance)
        continue;
      Value x = rows[i], y = rows[i + distance];
      rows[i] = vector::ShuffleOp::create(b, x, y, low);
      rows[i + distance] = vector::ShuffleOp::create(b, x, y, high);
    }
  }
  return rows;
}

/// Steps are neighbours: transpose blocks of 8 lanes by 8 steps in registers.
void ContractionEmitter::packLaneColumns(Range lanes, Range steps) {
  loop(lanes.size, p.tileLanes(), [&](Value tile) {
    for (int64_t group = 0; group < p.tileLanes(); group += 8) {
      SmallVector<Value> lane;
      for (int64_t i = 0; i < 8; ++i)
        lane.push_back(clamp(add(add(lanes.begin, tile), group + i), c.numLanes,
                             p.tileLanes()));
      Value base = add(mul(tile, p.packedLaneStride()), group);
      auto eight = [&](Value k) {
        SmallVector<Value> rows;
        for (Value l : lane)
          rows.push_back(
              loadVector(c.lanes.memref,
                         indices(c.lanes, nullptr, l, add(steps.begin, k)), 8));
        rows = transposeEight(b, rows);
        for (int64_t i = 0; i < 8; ++i)
          vector::StoreOp::create(b, rows[i], laneSpace,
                                  add(base, mul(add(k, i), p.tileLanes())));
      };
      auto one = [&](Value k) {
        for (int64_t i = 0; i < 8; ++i) {
          Value x =
              loadScalar(c.lanes.memref, indices(c.lanes, nullptr, lane[i],
                                                 add(steps.begin, k)));
          memref::StoreOp::create(b, x, laneSpace,
                                  add(add(base, mul(k, p.tileLanes())), i));
        }
      };
      loopStepsByEight(steps.size, eight, one);
    }
  });
}

void ContractionEmitter::packLaneScalars(Range lanes, Range steps) {
  loop(lanes.size, p.tileLanes(), [&](Value tile) {
    loop(steps.size, 1, [&](Value k) {
      Value base = add(mul(tile, p.packedLaneStride()), mul(k, p.tileLanes()));
      loop(cst(p.tileLanes()), 1, [&](Value i) {
        Value lane =
            clamp(add(add(lanes.begin, tile), i), c.numLanes, p.tileLanes());
        Value x = loadScalar(c.lanes.memref, indices(c.lanes, nullptr, lane,
                                                     add(steps.begin, k)));
        memref::StoreOp::create(b, x, laneSpace, add(base, i));
      });
    });
  });
}

void ContractionEmitter::packRows(Range rows, Range steps) {
  if (p.rowPacking == RowPacking::RowMajor)
    packRowMajor(rows, steps);
  else if (p.rowPacking == RowPacking::Interleaved)
    packInterleaved(rows, steps);
}

/// Steps are neighbours: copy rows as they are. This is still worth it: it puts
/// rows of a power-of-two distance out of each other's cache sets.
void ContractionEmitter::packRowMajor(Range rows, Range steps) {
  Value end = rows.size;
  if (c.numRows % p.tileRows)
    end = mul(b.createOrFold<arith::CeilDivUIOp>(end, cst(p.tileRows)),
              p.tileRows);
  loop(end, 1, [&](Value i) {
    Value row = clamp(add(rows.begin, i), c.numRows, p.tileRows);
    Value base = mul(i, p.packedRowStride());
    auto at = [&](Value k) {
      return indices(c.rows, row, nullptr, add(steps.begin, k));
    };
    loopStepsByEight(
        steps.size,
        [&](Value k) {
          vector::StoreOp::create(b, loadVector(c.rows.memref, at(k), 8),
                                  rowSpace, add(base, k));
        },
        [&](Value k) {
          memref::StoreOp::create(b, loadScalar(c.rows.memref, at(k)), rowSpace,
                                  add(base, k));
        });
  });
}

/// Puts the rows of a register tile next to each other. A tile of 6 rows is
/// copied as vectors of 8: the next step overwrites the two surplus elements.
/// The walk goes along the rows of the source, as in packLaneRows.
void ContractionEmitter::packInterleaved(Range rows, Range steps) {
  int64_t width = llvm::PowerOf2Ceil(p.tileRows);
  auto to = [&](Value tile, Value k) {
    return add(mul(tile, p.packedRowStride()), mul(k, p.tileRows));
  };
  Value begin = cst(0);
  if (c.rows.isContiguousAlong(RowLoop, width) && width <= c.numRows) {
    // Tiles from this row on have no vector inside of the operand.
    int64_t firstScalar = llvm::alignTo(c.numRows - width + 1, p.tileRows);
    Value end = min(rows.size, sub(cst(firstScalar), rows.begin));
    loop(steps.size, 1, [&](Value k) {
      loop(end, p.tileRows, [&](Value tile) {
        Value x = loadVector(c.rows.memref,
                             indices(c.rows, add(rows.begin, tile), nullptr,
                                     add(steps.begin, k)),
                             width);
        vector::StoreOp::create(b, x, rowSpace, to(tile, k));
      });
    });
    if (firstScalar >= c.numRows)
      return;
    begin = b.createOrFold<arith::MaxSIOp>(begin, end);
  }
  loop(begin, rows.size, p.tileRows, [&](Value tile) {
    loop(steps.size, 1, [&](Value k) {
      for (int64_t i = 0; i < p.tileRows; ++i) {
        Value row = clamp(add(add(rows.begin, tile), i), c.numRows, p.tileRows);
        Value x = loadScalar(
            c.rows.memref, indices(c.rows, row, nullptr, add(steps.begin, k)));
        memref::StoreOp::create(b, x, rowSpace, add(to(tile, k), i));
      }
    });
  });
}
