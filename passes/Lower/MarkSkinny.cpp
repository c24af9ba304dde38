//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mark skinny: which products with few rows are dot products, and which are
// split along k, decided while they are whole. Both add in another order than a
// register tile of the whole does. If that were decided when loops are written,
// a panel of a fused product could add in another order than the whole product
// does, and schedules would differ.
//
//===----------------------------------------------------------------------===//

#include "DotEmitter.h"
#include "SplitEmitter.h"
#include "Work.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINMARKSKINNY
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
/// A product of few rows and many lanes, of either operand.
struct SkinnyProduct {
  unsigned lane, k;
  int64_t rows, lanes, steps;
  /// The operand with the lanes: the weight.
  OpOperand *weight;
};
} // namespace

/// The loop that indexes the last dimension of an operand.
static std::optional<unsigned> lastLoop(linalg::LinalgOp op,
                                        OpOperand *operand) {
  AffineMap map = op.getMatchingIndexingMap(operand);
  if (map.getNumResults() == 0)
    return std::nullopt;
  return cast<AffineDimExpr>(map.getResults().back()).getPosition();
}

static std::optional<SkinnyProduct> matchSkinny(linalg::LinalgOp op) {
  constexpr int64_t kFew = 64, kMany = 32, kMinSteps = 64;
  if (!isMatrixProduct(op))
    return std::nullopt;
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SkinnyProduct product{0, reductions.front(), 1, 1, 1, nullptr};
  // The extents of the loops of each operand, and one of them.
  int64_t extents[2] = {1, 1};
  unsigned loops[2] = {0, 0};
  for (auto [loop, extent] : llvm::enumerate(op.getStaticLoopRanges())) {
    if (loop == product.k) {
      product.steps = extent;
      continue;
    }
    unsigned side = !maps[0].isFunctionOfDim(loop);
    if (maps[1].isFunctionOfDim(loop) != bool(side))
      return std::nullopt; // a batch
    extents[side] *= extent;
    loops[side] = loop;
  }
  unsigned many = extents[1] > extents[0];
  product.rows = extents[!many];
  product.lanes = extents[many];
  product.lane = loops[many];
  product.weight = op.getDpsInputOperand(many);
  if (product.rows > kFew || product.lanes < kMany || product.steps < kMinSteps)
    return std::nullopt;
  return product;
}

/// Both operands are contiguous along k.
static bool isDot(linalg::LinalgOp op, const SkinnyProduct &product) {
  return llvm::all_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    return lastLoop(op, operand) == product.k;
  });
}

/// In blocks of how many steps a dot product is made. Where samples share a tile,
/// all at once; otherwise a tile's rows of the weight must stay in the first-level
/// cache.
static int64_t dotBlock(const SkinnyProduct &product) {
  constexpr int64_t kOneTile = 8, kBlockSteps = 1024;
  return product.rows <= kOneTile ? product.steps : kBlockSteps;
}

/// A part is some 10 us of reading.
static constexpr int64_t kPartElements = 1 << 16;

/// A power of two of parts, at most `wanted`, that divides `units` of k. The sums
/// of all parts, which threads exchange, are an eighth of the weight at most, and
/// 1 MiB of the stack.
static int64_t choosePartCount(int64_t rows, int64_t lanes, int64_t steps,
                               int64_t wanted, int64_t units) {
  constexpr int64_t kMaxParts = 32, kMaxSums = 1 << 18;
  int64_t limit = std::min(
      {wanted, kMaxParts, steps / (8 * rows), kMaxSums / (rows * lanes)});
  int64_t parts = 1;
  while (2 * parts <= limit && units % (2 * parts) == 0)
    parts *= 2;
  return parts;
}

/// In how many parts k is divided; 1 where the weight does not lie along the
/// lanes, or is too small to share.
static int64_t countParts(linalg::LinalgOp op, const SkinnyProduct &product) {
  // With more rows, fewer elements are worth threads.
  constexpr int64_t kMinParts = 4;
  if (lastLoop(op, product.weight) != product.lane ||
      lastLoop(op, op.getDpsInitOperand(0)) != product.lane)
    return 1;
  bool isLarge = isWorthThreads(product.rows, product.lanes, product.steps);
  int64_t wanted = std::max(product.steps * product.lanes / kPartElements,
                            isLarge ? kMinParts : 1);
  return choosePartCount(product.rows, product.lanes, product.steps, wanted,
                         product.steps);
}

/// In how many parts a product is made whose weight lies in blocks along k: each
/// of some of its panels.
static int64_t countPanelParts(linalg::LinalgOp op) {
  constexpr int64_t kFew = 64;
  if (!isContractionCandidate(op) || op.getNumLoops() != 4 ||
      op.getNumReductionLoops() != 2 || op.hasDynamicShape())
    return 1;
  auto kinds = op.getIteratorTypesArray();
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  for (OpOperand *weight : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(weight);
    if (!map.isProjectedPermutation() || map.getNumResults() != 3)
      continue;
    unsigned outer = map.getDimPosition(0), lane = map.getDimPosition(1),
             inner = map.getDimPosition(2);
    if (kinds[outer] != utils::IteratorType::reduction ||
        kinds[inner] != utils::IteratorType::reduction ||
        lastLoop(op, op.getDpsInitOperand(0)) != lane)
      continue;
    int64_t lanes = ranges[lane], steps = ranges[outer] * ranges[inner];
    int64_t rows = 1;
    for (auto [loop, extent] : llvm::enumerate(ranges))
      rows *= map.isFunctionOfDim(loop) ? 1 : extent;
    if (rows > kFew)
      return 1;
    return choosePartCount(rows, lanes, steps, steps * lanes / kPartElements,
                           ranges[outer]);
  }
  return 1;
}

namespace {
struct MarkSkinny : plait::impl::TrainMarkSkinnyBase<MarkSkinny> {
  void runOnOperation() override {
    Builder builder(&getContext());
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (int64_t parts = countPanelParts(op); parts > 1) {
        op->setAttr(kSplitAttr, builder.getI64IntegerAttr(parts));
        return;
      }
      std::optional<SkinnyProduct> product = matchSkinny(op);
      if (!product)
        return;
      if (isDot(op, *product))
        op->setAttr(kDotAttr, builder.getI64IntegerAttr(dotBlock(*product)));
      else if (int64_t parts = countParts(op, *product); parts > 1)
        op->setAttr(kSplitAttr, builder.getI64IntegerAttr(parts));
    });
  }
};
} // namespace
