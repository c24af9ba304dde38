//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Parallelize: large ops that are not contractions are split among threads by
// their outermost parallel dimensions. Contractions and their epilogues are split where
// they are lowered, clusters where they are fused.
//
//===----------------------------------------------------------------------===//

#include "../Products.h"
#include "ConvolutionPlan.h"
#include "Epilogue.h"
#include "Work.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINPARALLELIZE
#include "plait/Passes.h.inc"
} // namespace plait

/// The size of a chunk: about a `tiles`-th, and a divisor, so that shapes stay
/// static.
static int64_t chunkSize(int64_t extent, int64_t tiles) {
  int64_t size = llvm::divideCeil(extent, tiles);
  while (extent % size != 0)
    ++size;
  return size;
}

/// The sizes of tiles: of the outermost parallel loop, and of the next where that
/// one has too few iterations. 0: whole.
static SmallVector<int64_t> chooseSizes(linalg::LinalgOp op, int64_t tiles) {
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  SmallVector<int64_t> sizes(ranges.size(), 0);
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (kind != utils::IteratorType::parallel || ranges[loop] < 2)
      continue;
    if (tiles < 2)
      break;
    int64_t size = chunkSize(ranges[loop], tiles);
    tiles /= ranges[loop] / size;
    if (size < ranges[loop])
      sizes[loop] = size;
  }
  return sizes;
}

/// Whether an index decreases along a loop, as where a filter is turned around.
/// Upstream's tiling takes the last iteration's for the end of a slice then.
static bool runsBackward(linalg::LinalgOp op) {
  return llvm::any_of(op.getIndexingMapsArray(), [](AffineMap map) {
    bool found = false;
    map.walkExprs([&](AffineExpr expr) {
      auto product = dyn_cast<AffineBinaryOpExpr>(expr);
      auto factor = product ? dyn_cast<AffineConstantExpr>(product.getRHS())
                            : AffineConstantExpr();
      found |= factor && product.getKind() == AffineExprKind::Mul &&
               factor.getValue() < 0;
    });
    return found;
  });
}

/// The same as tiling, for an op whose maps have `loop` as an index of its own
/// wherever they have it.
static LogicalResult divide(RewriterBase &rewriter, linalg::LinalgOp op,
                            unsigned loop, int64_t size) {
  AffineExpr dim = rewriter.getAffineDimExpr(loop);
  for (AffineMap map : op.getIndexingMapsArray())
    for (AffineExpr expr : map.getResults())
      if (expr != dim && expr.isFunctionOfDim(loop))
        return failure();
  if (op.hasIndexSemantics())
    return failure();
  Location loc = op.getLoc();
  OpFoldResult zero = rewriter.getIndexAttr(0), one = rewriter.getIndexAttr(1),
               chunk = rewriter.getIndexAttr(size);
  auto loops = scf::ForallOp::create(
      rewriter, loc, ArrayRef(zero),
      ArrayRef<OpFoldResult>(
          rewriter.getIndexAttr(op.getStaticLoopRanges()[loop])),
      ArrayRef(chunk), op.getDpsInits(), /*mapping=*/std::nullopt);
  rewriter.setInsertionPointToStart(loops.getBody());
  SmallVector<Value> parts, outs(loops.getRegionOutArgs());
  SmallVector<SmallVector<OpFoldResult>> offsets, sizes, strides;
  for (OpOperand &operand : op->getOpOperands()) {
    Value whole = op.isDpsInit(&operand)
                      ? outs[operand.getOperandNumber() - op.getNumDpsInputs()]
                      : operand.get();
    if (!isa<RankedTensorType>(whole.getType())) {
      parts.push_back(whole);
      continue;
    }
    SmallVector<OpFoldResult> &from = offsets.emplace_back(),
                              &count = sizes.emplace_back();
    for (auto [expr, extent] :
         llvm::zip_equal(op.getMatchingIndexingMap(&operand).getResults(),
                         cast<RankedTensorType>(whole.getType()).getShape())) {
      from.push_back(expr == dim ? loops.getInductionVar(0) : zero);
      count.push_back(expr == dim ? chunk : rewriter.getIndexAttr(extent));
    }
    strides.emplace_back(from.size(), one);
    parts.push_back(tensor::ExtractSliceOp::create(rewriter, loc, whole, from,
                                                   count, strides.back()));
  }
  Operation *part =
      clone(rewriter, op,
            TypeRange(ValueRange(parts).take_back(op.getNumDpsInits())), parts);
  rewriter.setInsertionPointToEnd(loops.getTerminator().getBody());
  size_t first = offsets.size() - outs.size();
  for (auto [i, out] : llvm::enumerate(outs))
    tensor::ParallelInsertSliceOp::create(rewriter, loc, part->getResult(i),
                                          out, offsets[first + i],
                                          sizes[first + i], strides[first + i]);
  rewriter.replaceOp(op, loops);
  return success();
}

/// The convolution that `op` gives its first values, if that becomes products: it
/// does so for each tile.
static linalg::LinalgOp convolutionBehind(linalg::LinalgOp op) {
  if (op->getNumResults() != 1 || !op->hasOneUse() ||
      !plait::givesFirstValues(op))
    return {};
  OpOperand &use = *op->use_begin();
  auto user = dyn_cast<linalg::LinalgOp>(use.getOwner());
  return user && user.isDpsInit(&use) && user->getBlock() == op->getBlock() &&
                 plait::becomesProducts(user)
             ? user
             : linalg::LinalgOp();
}

static void parallelize(RewriterBase &rewriter, linalg::LinalgOp op,
                        int64_t minElements) {
  if (op->getParentOfType<LoopLikeOpInterface>() ||
      plait::isProductOfMatrices(op) || op->getNumResults() == 0 ||
      plait::becomesProducts(op) || op->hasAttr(plait::kEpilogueAttr) ||
      isa<linalg::FillOp>(op)) // a product's fill folds into its lowering
    return;
  if (linalg::LinalgOp convolution = convolutionBehind(op)) {
    op->moveBefore(convolution);
    return;
  }
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  int64_t total = 1;
  for (int64_t range : ranges) {
    if (ShapedType::isDynamic(range))
      return;
    total *= range;
  }
  if (total < minElements)
    return;
  rewriter.setInsertionPoint(op);
  int64_t tiles = plait::countTiles(total);
  if (runsBackward(op)) {
    for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray()))
      if (kind == utils::IteratorType::parallel && ranges[loop] > 1 &&
          succeeded(divide(rewriter, op, loop, chunkSize(ranges[loop], tiles))))
        return;
    return;
  }
  SmallVector<int64_t> sizes = chooseSizes(op, tiles);
  if (llvm::all_of(sizes, [](int64_t size) { return size == 0; }))
    return;
  scf::SCFTilingOptions options;
  options.setTileSizes(getAsIndexOpFoldResult(op.getContext(), sizes));
  options.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
  auto tiled = scf::tileUsingSCF(
      rewriter, cast<TilingInterface>(op.getOperation()), options);
  if (succeeded(tiled))
    rewriter.replaceOp(op, tiled->replacements);
}

namespace {
struct Parallelize : plait::impl::TrainParallelizeBase<Parallelize> {
  using Base::Base;
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops)
      parallelize(rewriter, op, minElements);
  }
};
} // namespace
