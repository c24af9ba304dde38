//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decides how a direct convolution is written: along which loop vectors run, and
// which iterations of the others share what is in registers. It creates no IR,
// and its decisions are functions of the shape and the target alone.
//
// Nothing here knows what is an image, a channel or a tap. Rows of an image
// share the taps, taps share a row, output channels share an input, and a weight
// gradient has its taps as sums: all of it is iterations that load the same
// vector, which is counted.
//
//===----------------------------------------------------------------------===//

#include "DirectConvolution.h"
#include "ConvolutionPlan.h"

#include "mlir/Analysis/FlatLinearValueConstraints.h"

#include <limits>

using namespace mlir;
using namespace plait;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

bool WindowOperand::dependsOn(unsigned loop) const {
  return llvm::any_of(steps, [&](ArrayRef<int64_t> s) { return s[loop] != 0; });
}

std::optional<int64_t> WindowOperand::laneStep(unsigned loop) const {
  if (!dependsOn(loop))
    return 0;
  for (ArrayRef<int64_t> step : ArrayRef(steps).drop_back())
    if (step[loop] != 0)
      return std::nullopt;
  if (!cast<MemRefType>(memref.getType()).isLastDimUnitStride())
    return std::nullopt;
  return steps.back()[loop];
}

SmallVector<int64_t> WindowOperand::offset(ArrayRef<int64_t> iteration) const {
  SmallVector<int64_t> result;
  for (ArrayRef<int64_t> step : steps) {
    int64_t sum = 0;
    for (auto [s, i] : llvm::zip_equal(step, iteration))
      sum += s * i;
    result.push_back(sum);
  }
  return result;
}

void plait::forEachPoint(ArrayRef<int64_t> extents,
                         function_ref<void(ArrayRef<int64_t>)> visit) {
  SmallVector<int64_t> point(extents.size(), 0);
  while (true) {
    visit(point);
    int64_t loop = int64_t(extents.size()) - 1;
    for (; loop >= 0 && ++point[loop] == extents[loop]; --loop)
      point[loop] = 0;
    if (loop < 0)
      return;
  }
}

size_t DirectConvolution::level(const WindowOperand &operand) const {
  size_t level = 0;
  for (auto [i, loop] : llvm::enumerate(order))
    if (operand.dependsOn(loop))
      level = i + 1;
  return level;
}

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

static FailureOr<WindowOperand> matchOperand(Value memref, AffineMap map) {
  WindowOperand result;
  result.memref = memref;
  result.map = map;
  FlatLinearConstraints constraints;
  std::vector<SmallVector<int64_t, 8>> flat;
  if (failed(getFlattenedAffineExprs(map, &flat, &constraints)))
    return failure();
  for (ArrayRef<int64_t> expr : flat) {
    // No divisions, and nothing that runs backward.
    if (expr.size() != map.getNumDims() + 1 ||
        llvm::any_of(expr.drop_back(), [](int64_t step) { return step < 0; }))
      return failure();
    result.steps.push_back(SmallVector<int64_t>(expr.drop_back()));
  }
  return result;
}

static FailureOr<DirectConvolution> match(linalg::LinalgOp op,
                                          StringRef &reason) {
  auto fail = [&](StringRef why) {
    reason = why;
    return failure();
  };
  if (failed(isStaticMultiplyAdd(op, reason)))
    return failure();
  if (op->getOperand(0) == op->getOperand(2) ||
      op->getOperand(1) == op->getOperand(2))
    return fail("the output is also an input");
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  DirectConvolution result;
  WindowOperand *operands[] = {&result.input, &result.filter, &result.output};
  for (auto [operand, map, value] :
       llvm::zip_equal(operands, maps, op->getOperands())) {
    FailureOr<WindowOperand> matched = matchOperand(value, map);
    if (failed(matched))
      return fail("an index is not a sum of loops");
    *operand = *matched;
  }
  if (!maps[2].isProjectedPermutation())
    return fail("the output is not indexed by loops");
  if (maps[0].isProjectedPermutation())
    std::swap(result.input, result.filter);
  result.extents = op.getStaticLoopRanges();
  return result;
}

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

/// Whether vectors can run along `loop`.
static bool isLane(const DirectConvolution &conv, unsigned loop) {
  // More would be loads of whole cache lines for an element each.
  constexpr int64_t kMaxStep = 4;
  auto input = conv.input.laneStep(loop), filter = conv.filter.laneStep(loop),
       output = conv.output.laneStep(loop);
  return conv.extents[loop] > 1 && input && filter && output &&
         *input <= kMaxStep && *filter <= 1 && *output <= 1 &&
         *input + *filter > 0;
}

/// Orders the loops that have more than one iteration. What the filter needs
/// stands outside: it then stays in registers.
static void arrange(DirectConvolution &conv) {
  conv.order.clear();
  SmallVector<unsigned> inner, reductions;
  for (unsigned loop = 0; loop < conv.extents.size(); ++loop) {
    if (conv.unroll[loop] == conv.extents[loop])
      continue;
    if (conv.isReduction(loop))
      reductions.push_back(loop);
    else
      (conv.filter.dependsOn(loop) ? conv.order : inner).push_back(loop);
  }
  // Along the lanes last: through memory as it lies.
  for (SmallVector<unsigned> *loops : {&conv.order, &inner, &reductions})
    std::stable_partition(loops->begin(), loops->end(),
                          [&](unsigned l) { return l != conv.lane; });
  llvm::append_range(conv.order, inner);
  llvm::append_range(conv.order, reductions);
}

/// How many vectors `operand` has in registers, by where they begin. With
/// `rowStep`, those that begin within as many elements of a row count once. A
/// loop moves along one dimension; if not, these are too many.
static int64_t countVectors(const DirectConvolution &conv,
                            const WindowOperand &operand, int64_t rowStep = 1) {
  int64_t count = 1;
  for (auto [dim, steps] : llvm::enumerate(operand.steps)) {
    SmallVector<int64_t> offsets = {0};
    for (auto [loop, step] : llvm::enumerate(steps)) {
      if (loop == conv.lane || step == 0)
        continue;
      size_t before = offsets.size();
      for (int64_t i = 1; i < conv.unroll[loop]; ++i)
        for (size_t j = 0; j < before; ++j)
          offsets.push_back(offsets[j] + i * step);
    }
    if (dim + 1 == operand.steps.size())
      for (int64_t &offset : offsets)
        offset /= rowStep;
    llvm::sort(offsets);
    count *= llvm::unique(offsets) - offsets.begin();
  }
  return count;
}

static int64_t pointsInRegisters(const DirectConvolution &conv) {
  int64_t points = 1;
  for (auto [loop, count] : llvm::enumerate(conv.unroll))
    points *= loop == conv.lane ? 1 : count;
  return points;
}

/// Vector instructions of the whole, as if the last iterations of a loop were
/// as many as the others.
static double cost(const DirectConvolution &conv) {
  auto times = [&](size_t level) {
    double result = 1;
    for (unsigned loop : ArrayRef(conv.order).take_front(level))
      result *= llvm::divideCeil(conv.extents[loop], conv.unroll[loop]);
    return result;
  };
  int64_t step = *conv.input.laneStep(conv.lane);
  double input = countVectors(conv, conv.input);
  if (step > 1) // loads, and a shuffle for each
    input += step * countVectors(conv, conv.input, step);
  // Sums are loaded and stored; their lanes, if they are of one, added up.
  double perSum =
      conv.isReduction(conv.lane) ? 2 + 2 * llvm::Log2_64(conv.width) : 2;
  return pointsInRegisters(conv) * times(conv.order.size()) +
         input * times(conv.level(conv.input)) +
         countVectors(conv, conv.filter) * times(conv.level(conv.filter)) +
         perSum * countVectors(conv, conv.output) *
             times(conv.level(conv.output));
}

namespace {
/// Tries how many iterations of each loop to take into registers.
class UnrollSearch {
public:
  UnrollSearch(DirectConvolution &conv, int64_t registers)
      : conv(conv), registers(registers) {}
  /// Sets the cheapest choice, and returns its cost.
  double run() {
    search(0);
    conv.unroll = best;
    arrange(conv);
    return lowest;
  }

private:
  void search(unsigned loop);

  DirectConvolution &conv;
  int64_t registers;
  SmallVector<int64_t> best;
  double lowest = std::numeric_limits<double>::infinity();
};
} // namespace

/// All choices for the loops from `loop` on.
void UnrollSearch::search(unsigned loop) {
  constexpr int64_t kMaxPoints = 96, kMaxUnroll = 16;
  if (loop == conv.extents.size()) {
    arrange(conv);
    if (double now = cost(conv); now < lowest) {
      lowest = now;
      best = conv.unroll;
    }
    return;
  }
  // Nothing is shared along a loop that all operands depend on.
  int64_t extent = conv.extents[loop], last = std::min(extent, kMaxUnroll);
  if (loop == conv.lane ||
      (conv.input.dependsOn(loop) && conv.filter.dependsOn(loop) &&
       conv.output.dependsOn(loop)))
    return search(loop + 1);
  for (int64_t count = 1; count <= last; ++count) {
    conv.unroll[loop] = count;
    if (pointsInRegisters(conv) > kMaxPoints ||
        countVectors(conv, conv.output) > registers)
      break;
    // Only if that makes fewer iterations of the rest.
    if (count == 1 ||
        llvm::divideCeil(extent, count) < llvm::divideCeil(extent, count - 1))
      search(loop + 1);
  }
  conv.unroll[loop] = 1;
}

FailureOr<DirectConvolution> plait::planDirectConvolution(linalg::LinalgOp op,
                                                          int64_t width,
                                                          int64_t registers,
                                                          StringRef &reason) {
  FailureOr<DirectConvolution> conv = match(op, reason);
  if (failed(conv))
    return failure();
  conv->width = width;
  std::optional<DirectConvolution> best;
  double lowest = 0;
  for (unsigned loop = 0; loop < conv->extents.size(); ++loop) {
    if (!isLane(*conv, loop))
      continue;
    DirectConvolution next = *conv;
    next.lane = loop;
    next.unroll.assign(next.extents.size(), 1);
    next.unroll[loop] = std::min(width, next.extents[loop]);
    double now = UnrollSearch(next, registers).run();
    if (!best || now < lowest) {
      lowest = now;
      best = next;
    }
  }
  reason = "no loop runs along a row of all operands";
  if (!best)
    return failure();
  return *best;
}
