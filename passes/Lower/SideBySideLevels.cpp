//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A level is as early as what it depends on allows. What nobody waits for, as for
// an update, may run later: at the next level whose loop leaves threads idle, so
// that it does not run alone while the next gradient's one op is made.
//
//===----------------------------------------------------------------------===//

#include "SideBySideLevels.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace plait;

std::optional<SmallVector<int64_t>> plait::tileCounts(scf::ParallelOp loop) {
  if (loop.getNumResults() != 0)
    return std::nullopt;
  SmallVector<int64_t> counts;
  for (auto [low, high, step] :
       llvm::zip(loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
    std::optional<int64_t> l = getConstantIntValue(low),
                           h = getConstantIntValue(high),
                           s = getConstantIntValue(step);
    if (!l || !h || !s || *s <= 0 || *h <= *l)
      return std::nullopt;
    counts.push_back(llvm::divideCeil(*h - *l, *s));
  }
  return counts;
}

/// Of a loop that is to run alone.
static constexpr int64_t kManyTiles = 1 << 20;

/// Whether `op` can be moved to the start of the function once its operands are.
static bool isFree(Operation &op, const DenseSet<Operation *> &free) {
  auto alloca = dyn_cast<memref::AllocaOp>(op);
  bool isStack = alloca && alloca.getType().hasStaticShape() &&
                 alloca->getNumOperands() == 0;
  return (isStack || (isPure(&op) && op.getNumRegions() == 0)) &&
         llvm::all_of(op.getOperands(), [&](Value operand) {
           Operation *def = operand.getDefiningOp();
           return !def || free.contains(def);
         });
}

/// Elements that `op` loads and stores, with the trips of the loops within that
/// are known.
static int64_t countElements(Operation *op) {
  int64_t elements = 0;
  op->walk([&](Operation *inner) {
    if (inner->getNumRegions() != 0 || isMemoryEffectFree(inner))
      return;
    int64_t times = 1;
    for (Type type : llvm::concat<const Type>(inner->getOperandTypes(),
                                              inner->getResultTypes()))
      if (auto vector = dyn_cast<VectorType>(type))
        times = std::max(times, vector.getNumElements());
    for (Operation *parent = inner; parent != op;) {
      parent = parent->getParentOp();
      if (auto loop = dyn_cast<scf::ForOp>(parent))
        if (std::optional<APInt> trips = loop.getStaticTripCount())
          times *= trips->getSExtValue();
    }
    elements += times;
  });
  return elements;
}

void Levels::finish(Unit &unit) {
  for (Operation *op : unit.ops) {
    unit.footprint.add(op);
    op->walk([&](memref::AllocaOp alloca) {
      MemRefType type = alloca.getType();
      if (type.hasStaticShape() && type.getElementType().isIntOrFloat())
        unit.stackBytes += type.getNumElements() *
                           llvm::divideCeil(type.getElementTypeBitWidth(), 8);
    });
  }
  auto loop = dyn_cast<scf::ParallelOp>(unit.ops.front());
  if (unit.ops.size() == 1 && loop && tileCounts(loop)) {
    WalkResult nested = loop.getBody()->walk(
        [](scf::ParallelOp) { return WalkResult::interrupt(); });
    if (!nested.wasInterrupted()) {
      unit.loop = loop;
      unit.tiles = ShapedType::getNumElements(*tileCounts(loop));
      // What threads wait at its end is little beside such a loop, and steps were
      // slower where they stood beside others (docs/Performance.md).
      constexpr int64_t kMaxElements = 1 << 22;
      if (countElements(loop) * unit.tiles > kMaxElements)
        unit.tiles = kManyTiles;
      return;
    }
  }
  for (Operation *op : unit.ops) {
    unit.elements += countElements(op);
    // It has threads of its own, and runs alone.
    op->walk([&](scf::ParallelOp) { unit.footprint.setUnknown(); });
  }
}

void Levels::collectUnits(Block &block) {
  DenseSet<Operation *> isFreeOp;
  DenseMap<Operation *, int64_t> position;
  for (auto [i, op] : llvm::enumerate(block)) {
    position[&op] = i;
    if (isFree(op, isFreeOp)) {
      isFreeOp.insert(&op);
      free.push_back(&op);
    }
  }
  int64_t end = -1;
  for (Operation &op : block.without_terminator()) {
    if (isFreeOp.contains(&op))
      continue;
    if (position[&op] > end)
      units.emplace_back();
    units.back().ops.push_back(&op);
    // Who reads a value stays with it, and so does what lies between.
    for (Operation *user : op.getUsers())
      end = std::max(end, position.lookup(block.findAncestorOpInBlock(*user)));
  }
  for (Unit &unit : units)
    finish(unit);
}

void Levels::findDependences() {
  for (auto [i, unit] : llvm::enumerate(units))
    for (auto [j, other] : llvm::enumerate(ArrayRef(units).take_front(i)))
      if (unit.footprint.conflictsWith(other.footprint))
        unit.before.push_back(j);
}

/// The first and the last level of each unit, of as few levels as possible.
void Levels::findRanges() {
  int64_t last = 0;
  for (Unit &unit : units) {
    for (unsigned i : unit.before)
      unit.first =
          std::max(unit.first, units[i].first + distance(units[i], unit));
    last = std::max(last, unit.first);
  }
  for (Unit &unit : units)
    unit.last = last;
  for (Unit &unit : llvm::reverse(units))
    for (unsigned i : unit.before)
      units[i].last =
          std::min(units[i].last, unit.last - distance(units[i], unit));
  levels.resize(last + 1);
}

/// Whether `unit` finds idle threads beside the loops of `level`, and room on the
/// stack.
static bool fits(const Level &level, int64_t tiles, int64_t stackBytes,
                 int64_t lanes) {
  return level.tiles < lanes && tiles < lanes &&
         level.stackBytes + stackBytes <= kMaxStackBytes;
}

void Levels::put(Unit &unit, int64_t index, int64_t lanes) {
  unit.level = index;
  Level &level = levels[index];
  if (!unit.loop) {
    level.serialElements += unit.elements;
    level.serialBytes += unit.stackBytes;
    return;
  }
  if (!level.loops.empty() &&
      !fits(level, unit.tiles, unit.stackBytes, lanes)) {
    level.alone.push_back(unit.loop);
    return;
  }
  level.loops.push_back(unit.loop);
  level.tiles += unit.tiles;
  level.stackBytes += unit.stackBytes;
}

void Levels::chooseLevels(int64_t lanes) {
  for (Unit &unit : units)
    if (unit.isCritical())
      put(unit, unit.first, lanes);
  // In order, so that what a unit depends on is chosen before.
  for (Unit &unit : units) {
    if (unit.isCritical())
      continue;
    int64_t first = 0;
    for (unsigned i : unit.before)
      first = std::max(first, units[i].level + distance(units[i], unit));
    int64_t chosen = first;
    for (int64_t i = first; unit.loop && i <= unit.last; ++i)
      if (!levels[i].loops.empty() &&
          fits(levels[i], unit.tiles, unit.stackBytes, lanes)) {
        chosen = i;
        break;
      }
    put(unit, chosen, lanes);
  }
}

Levels::Levels(Block &block, int64_t lanes) {
  collectUnits(block);
  findDependences();
  findRanges();
  chooseLevels(lanes);
  // In the order of the function: serial ops depend on each other.
  for (Unit &unit : units)
    if (!unit.loop)
      levels[unit.level].serial.append(unit.ops);
}
