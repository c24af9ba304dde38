//===- ContractionPlan.cpp - Roles and blocks of a contraction ------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decides which operand of a contraction gives the rows and which the lanes of a
// register tile, how large the tiles and blocks are and what is packed. It decides
// by comparing estimated cycles of a few candidates. It does not create IR, and
// nothing decided here changes a bit of the result: each element stays one chain
// of fused multiply-adds.
//
//===----------------------------------------------------------------------===//

#include "ContractionPlan.h"
#include "Work.h"

#include "llvm/Support/MathExtras.h"

#include <limits>
#include <numeric>

using namespace mlir;
using namespace plait;
using llvm::alignTo;
using llvm::divideCeil;

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

/// The size of a block of at most about `limit` elements such that all blocks
/// of `extent` are about equally large, rounded up to `multiple`.
static int64_t balancedBlock(int64_t extent, int64_t limit, int64_t multiple) {
  int64_t parts = divideCeil(extent, std::max(limit, multiple));
  return alignTo(divideCeil(extent, parts), multiple);
}

/// Weighs the rows that are computed in vain against the loads of lanes, which
/// are shared by the rows of a tile: a tile of 4 rows suits 32 rows better than
/// one of 6.
static int64_t chooseTileRows(int64_t numRows, int64_t limit) {
  int64_t best = 1;
  double bestCost = std::numeric_limits<double>::max();
  for (int64_t rows = std::min(limit, numRows); rows > 0; --rows) {
    double cost = alignTo(numRows, rows) * (1 + 0.5 / rows);
    if (cost < bestCost) {
      bestCost = cost;
      best = rows;
    }
  }
  return best;
}

/// Chooses the register tile. One that is less than two native vectors wide
/// gets twice the rows, and one with few rows more vectors, so that there are
/// always enough independent chains to hide the latency of an fma.
static void chooseTile(ContractionPlan &plan, int64_t width,
                       const ContractionTarget &target) {
  const Contraction &c = plan.contraction;
  bool isWide = width == target.registerCols;
  int64_t limit = isWide ? target.registerRows : 2 * target.registerRows;
  plan.vectorWidth = width;
  plan.tileRows = chooseTileRows(c.numRows, limit);
  plan.vectorsPerRow = 1;
  while (2 * plan.vectorsPerRow * plan.tileRows <= limit &&
         2 * plan.tileLanes() <= c.numLanes)
    plan.vectorsPerRow *= 2;
}

static int64_t batchExtent(const Contraction &c) {
  return std::accumulate(c.batch.begin(), c.batch.end(), int64_t(1),
                         std::multiplies<>());
}

/// Chooses what is packed and in blocks of which size.
static void chooseBlocks(ContractionPlan &plan,
                         const ContractionTarget &target) {
  const Contraction &c = plan.contraction;
  constexpr int64_t kPanels = 2;
  int64_t lanes = plan.tileLanes();
  // A few rows use each element of the lane operand too rarely to pay for a
  // copy. Blocks of few steps then read it in place, in long runs.
  bool isStreaming = c.numRows <= 2 * target.registerRows &&
                     c.lanes.isContiguousAlong(LaneLoop, plan.vectorWidth) &&
                     c.numLanes % lanes == 0 && !c.lanes.isPanelled();
  int64_t blockN = target.blockN, blockK = target.blockK;
  // Few lanes: deeper blocks of the same size in bytes access the accumulator
  // less often.
  int64_t depth =
      std::clamp<int64_t>(blockN / alignTo(c.numLanes, lanes), 1, 4);
  blockK *= depth;
  if (isStreaming) {
    blockN = 2 * target.blockN;
    blockK = 16;
  } else if (c.numRows == plan.tileRows) {
    // A packed element is read only once, so only long runs of the source
    // matter.
    blockN = lanes;
    blockK = 2 * target.blockK;
  }
  // Few steps: the accumulator is most of the traffic, so walk along its rows
  // and as far as the packed lanes stay in the cache.
  constexpr int64_t fewSteps = 64;
  plan.lanesInner = c.numSteps <= fewSteps;
  if (plan.lanesInner)
    blockN *= fewSteps / alignTo(c.numSteps, 16);
  // A panel is what packing would make.
  bool isPacked = c.lanes.isPanelled() &&
                  c.lanes.isContiguousAlong(LaneLoop, plan.vectorWidth);
  plan.packLanes = !isStreaming && !isPacked;
  plan.rowPacking = isStreaming || c.rows.isPanelled() || c.acc.isPanelled() ||
                            (c.lanes.isPanelled() && c.numLanes <= lanes)
                        ? RowPacking::None
                    : c.rows.isContiguousAlong(ReductionLoop, 8)
                        ? RowPacking::RowMajor
                        : RowPacking::Interleaved;
  // Rows from panels along k: one after the other, since a few rows of many
  // panels are as many places in memory. Sums are loaded often, then.
  plan.packAcc = c.rows.isPanelled() && !plan.isAccDirect();
  if (plan.packAcc)
    blockK = kPanels * c.rows.block;
  // With a single tile of lanes a packed row is read only once, too.
  int64_t blockM = c.numLanes <= lanes ? plan.tileRows : target.blockM / depth;
  plan.blockRows = balancedBlock(c.numRows, blockM, plan.tileRows);
  // Threads divide panels, as the update does, and lanes where rows are few.
  int64_t columns = 1;
  if (c.acc.isPanelled())
    columns = plan.numTasks;
  else if (plan.lanesFirst && c.numRows <= plan.blockRows)
    columns = divideCeil(plan.numTasks, batchExtent(c));
  blockN = std::min(blockN, std::max(lanes, c.numLanes / columns));
  plan.blockLanes = balancedBlock(c.numLanes, blockN, lanes);
  plan.blockSteps = balancedBlock(c.numSteps, blockK, 16);
}

/// Chooses the parallel grid: enough tiles to balance a few threads, yet as few
/// as possible, since each row of tiles packs the lane operand once more. A
/// power of two of them, of equal size, so that a thread gets the same rows
/// here as of a parameter's panels: else it reads what another one's cache
/// holds.
static void chooseGrid(ContractionPlan &plan) {
  const Contraction &c = plan.contraction;
  int64_t batch = batchExtent(c);
  int64_t columns = divideCeil(c.numLanes, plan.blockLanes) * batch;
  plan.isLarge = isWorthThreads(c.numRows, c.numLanes, c.numSteps, batch);
  int64_t blocks = divideCeil(c.numRows, plan.blockRows);
  int64_t parts = std::min(blocks, (int64_t)divideCeil(plan.numTasks, columns));
  parts = plan.isLarge && !c.acc.isPanelled() ? llvm::PowerOf2Ceil(parts) : 1;
  int64_t taskRows = alignTo(divideCeil(c.numRows, parts), plan.tileRows);
  plan.blockRows = balancedBlock(taskRows, plan.blockRows, plan.tileRows);
  plan.taskRows = divideCeil(taskRows, plan.blockRows) * plan.blockRows;
}

/// Estimates the cycles of one batch element. The constants are cycles per
/// element, measured roughly on a core with two 8-lane fma units.
static double estimateCost(const ContractionPlan &plan,
                           const ContractionTarget &target) {
  const Contraction &c = plan.contraction;
  double rows = alignTo(c.numRows, plan.tileRows);
  double lanes = alignTo(c.numLanes, plan.tileLanes());
  // A step of a tile is bound by the two fma units, by the two load ports (one
  // broadcast per row, one load per register of lanes) or by the latency of a
  // chain, and the loads also take slots from the fmas.
  double regs =
      plan.vectorsPerRow * (plan.vectorWidth == target.registerCols ? 2 : 1);
  double fmas = plan.tileRows * regs, loads = plan.tileRows + regs;
  double perStep = std::max({fmas, loads, 8.0}) / 2 + 0.1 * loads;
  double tiles = rows / plan.tileRows * (lanes / plan.tileLanes());
  double cost = tiles * c.numSteps * perStep;
  if (plan.packLanes) {
    double perElement = c.lanes.isContiguousAlong(LaneLoop, plan.vectorWidth)
                            ? 0.15
                        : c.lanes.isContiguousAlong(ReductionLoop, 8) ? 0.4
                                                                      : 1.5;
    cost +=
        lanes * c.numSteps * perElement * divideCeil(c.numRows, plan.taskRows);
  }
  if (plan.rowPacking != RowPacking::None) {
    double perElement = plan.rowPacking == RowPacking::RowMajor ? 0.1
                        : c.rows.isContiguousAlong(RowLoop)     ? 0.6
                                                                : 1.0;
    cost += rows * c.numSteps * perElement *
            divideCeil(c.numLanes, plan.blockLanes);
  }
  double blocks = divideCeil(c.numSteps, plan.blockSteps);
  cost += rows * lanes *
          (plan.isAccDirect() ? 0.25 * blocks
           : plan.packAcc     ? 0.1 * blocks + 2
                              : 2 * blocks);
  return cost;
}

static ContractionPlan makePlan(const Contraction &contraction, int64_t width,
                                int64_t tasks, bool lanesFirst,
                                const ContractionTarget &target) {
  ContractionPlan plan;
  plan.contraction = contraction;
  plan.numTasks = tasks;
  plan.lanesFirst = lanesFirst;
  chooseTile(plan, width, target);
  chooseBlocks(plan, target);
  chooseGrid(plan);
  plan.cost = estimateCost(plan, target);
  return plan;
}

/// A plan of as many tasks as 64 threads can use, as far as few threads lose
/// little: each task copies what it shares with others. It divides what `few`
/// divides further, so that a thread has the same rows of a weight.
static ContractionPlan refine(const ContractionPlan &few,
                              const ContractionTarget &target) {
  constexpr double kMaxLoss = 0.02;
  const Contraction &c = few.contraction;
  int64_t elements =
      countElements(c.numRows, c.numLanes, c.numSteps, batchExtent(c));
  for (int64_t tasks = countTasks(elements); tasks > 1; tasks /= 2) {
    ContractionPlan many =
        makePlan(c, few.vectorWidth, tasks,
                 /*lanesFirst=*/few.taskRows >= c.numRows, target);
    if (many.cost <= (1 + kMaxLoss) * few.cost)
      return many;
  }
  return few;
}

ContractionPlan plait::planContraction(const Contraction &contraction,
                                       const ContractionTarget &target) {
  std::optional<ContractionPlan> best;
  for (bool swap : {false, true}) {
    Contraction candidate = contraction;
    if (swap)
      candidate.swapRoles();
    int64_t native = std::max<int64_t>(1, target.registerCols / 2);
    int64_t narrow =
        std::min<int64_t>(native, llvm::PowerOf2Ceil(candidate.numLanes));
    for (int64_t width : {target.registerCols, narrow}) {
      ContractionPlan plan = makePlan(candidate, width, kMinTasks,
                                      /*lanesFirst=*/false, target);
      if (!best || plan.cost < best->cost)
        best = plan;
    }
  }
  return target.parallel ? refine(*best, target) : *best;
}
