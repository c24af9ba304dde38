//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions with few multiply-adds for each element are bound by memory, and
// what surrounds them (padding, the spread gradient of a strided one, a bias as
// the initial value, transposes of a weight gradient) reads and writes the image
// as often again. Here such a convolution is divided among threads by images and
// channels, and each tile pads, spreads and fills its own part, in the cache.
//
// It runs on tensors, where producers are known. It never tiles an image.
//
//===----------------------------------------------------------------------===//

#include "../Divisor.h"
#include "ContractionPlan.h"
#include "ConvolutionPlan.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/ViewLikeInterfaceUtils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/IR/TensorTilingInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINTILECONVOLUTIONS
#include "plait/Passes.h.inc"
} // namespace plait

//===----------------------------------------------------------------------===//
// Transposes
//===----------------------------------------------------------------------===//

/// `pad` without the transpose that makes its source, if one does.
static Value padBeforeTranspose(RewriterBase &rewriter, tensor::PadOp pad,
                                linalg::TransposeOp transpose) {
  ArrayRef<int64_t> permutation = transpose.getPermutation();
  SmallVector<OpFoldResult> low(permutation.size()), high(permutation.size());
  for (auto [to, from] : llvm::enumerate(permutation)) {
    low[from] = pad.getMixedLowPad()[to];
    high[from] = pad.getMixedHighPad()[to];
  }
  return tensor::PadOp::create(rewriter, pad.getLoc(), Type(),
                               transpose.getInput(), low, high,
                               pad.getConstantPaddingValue());
}

/// Reads inputs through maps instead of transposing them.
static linalg::GenericOp foldTransposes(RewriterBase &rewriter,
                                        linalg::GenericOp op) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  rewriter.setInsertionPoint(op);
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto pad = input->get().getDefiningOp<tensor::PadOp>();
    if (pad && !pad.getConstantPaddingValue())
      continue;
    Value transposed = pad ? pad.getSource() : input->get();
    auto transpose = transposed.getDefiningOp<linalg::TransposeOp>();
    if (!transpose)
      continue;
    Value source = pad ? padBeforeTranspose(rewriter, pad, transpose)
                       : transpose.getInput();
    AffineMap &map = maps[input->getOperandNumber()];
    SmallVector<AffineExpr> exprs(map.getNumResults());
    for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
      exprs[from] = map.getResult(to);
    map = AffineMap::get(map.getNumDims(), 0, exprs, op.getContext());
    rewriter.modifyOpInPlace(op, [&] { input->set(source); });
  }
  rewriter.modifyOpInPlace(op, [&] {
    op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  });
  return op;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

namespace {
/// How much of each loop a tile has; functions of the shape alone.
struct Tiles {
  SmallVector<int64_t> parallel, reduction; ///< 0: not tiled
  bool fitsCache; ///< whether a tile may have a padded input of its own
};

class TileSizes {
public:
  explicit TileSizes(linalg::GenericOp op)
      : input(op.getIndexingMapsArray()[0]),
        filter(op.getIndexingMapsArray()[1]),
        output(op.getIndexingMapsArray()[2]), extents(op.getStaticLoopRanges()),
        tile(extents),
        shape(cast<ShapedType>(op->getOperand(0).getType()).getShape()) {
    auto elements = [&](unsigned i) {
      return cast<ShapedType>(op->getOperand(i).getType()).getNumElements();
    };
    hasLargeFilter = elements(1) > elements(2);
  }
  Tiles choose();

private:
  bool isTileable(unsigned loop) const;
  int64_t inputBytes() const;
  void shrink(bool inFilter, bool inOutput);

  AffineMap input, filter, output;
  SmallVector<int64_t> extents, tile;
  ArrayRef<int64_t> shape;
  bool hasLargeFilter; ///< a weight gradient's
  int64_t count = 1;   ///< of tiles for threads
};
} // namespace

/// Not along a window: its tiles would overlap, and be padded differently.
bool TileSizes::isTileable(unsigned loop) const {
  AffineExpr dim = getAffineDimExpr(loop, input.getContext());
  return llvm::is_contained(input.getResults(), dim) &&
         llvm::count_if(input.getResults(), [&](AffineExpr expr) {
           return expr.isFunctionOfDim(loop);
         }) == 1;
}

int64_t TileSizes::inputBytes() const {
  int64_t bytes = sizeof(float);
  for (auto [expr, size] : llvm::zip_equal(input.getResults(), shape)) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    bytes *= dim ? tile[dim.getPosition()] : size;
  }
  return bytes;
}

/// Makes tiles smaller along the loops of the input with these roles, until
/// they fit in the first cache, and threads have enough of them.
void TileSizes::shrink(bool inFilter, bool inOutput) {
  constexpr int64_t kBytes = 1 << 15, kTiles = 32, kLanes = 32;
  for (unsigned loop = 0; loop < tile.size(); ++loop) {
    if (!isTileable(loop) || filter.isFunctionOfDim(loop) != inFilter ||
        output.isFunctionOfDim(loop) != inOutput)
      continue;
    int64_t extent = extents[loop];
    int64_t room = kBytes / (inputBytes() / extent);
    if (inOutput)
      room = std::min<int64_t>(
          room, llvm::divideCeil(extent, llvm::divideCeil(kTiles, count)));
    // What lies in a row is what vectors are made of.
    if (inOutput && output.getResults().back().isFunctionOfDim(loop))
      room = std::max(room, kLanes);
    tile[loop] = largestDivisor(extent, std::max<int64_t>(room, 1));
    if (inOutput)
      count *= extent / tile[loop];
  }
}

Tiles TileSizes::choose() {
  constexpr int64_t kMaxBytes = 1 << 19; // in the second cache
  if (hasLargeFilter) {
    // Channels read their part of it once; what only the input has, again.
    shrink(/*inFilter=*/true, /*inOutput=*/true);
    shrink(/*inFilter=*/true, /*inOutput=*/false);
    shrink(/*inFilter=*/false, /*inOutput=*/true);
  } else {
    shrink(/*inFilter=*/false, /*inOutput=*/true);
    shrink(/*inFilter=*/true, /*inOutput=*/true);
  }
  Tiles tiles;
  tiles.fitsCache = inputBytes() <= kMaxBytes;
  for (auto [loop, size] : llvm::enumerate(tile)) {
    bool isWhole = size == extents[loop],
         inOutput = output.isFunctionOfDim(loop);
    tiles.parallel.push_back(isWhole || !inOutput ? 0 : size);
    tiles.reduction.push_back(isWhole || inOutput ? 0 : size);
  }
  return tiles;
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// Tiles `op` and, with it, what fills its output. Returns the tile.
static FailureOr<linalg::GenericOp>
tileAndFill(RewriterBase &rewriter, linalg::GenericOp op,
            ArrayRef<int64_t> sizes, scf::SCFTilingOptions::LoopType type) {
  if (llvm::all_of(sizes, [](int64_t size) { return size == 0; }))
    return op;
  scf::SCFTileAndFuseOptions options;
  options.tilingOptions.setTileSizes(
      getAsIndexOpFoldResult(op.getContext(), sizes));
  options.tilingOptions.setLoopType(type);
  // A sum that goes on from tile to tile begins once.
  bool isReduction = type == scf::SCFTilingOptions::LoopType::ForOp;
  options.setFusionControlFn(
      [=](tensor::ExtractSliceOp, OpResult producer, bool isDestination)
          -> std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> {
        if (!isDestination || isReduction ||
            !isa<linalg::FillOp, linalg::BroadcastOp>(producer.getOwner()))
          return std::nullopt;
        return scf::SCFTileAndFuseOptions::ControlFnResult{};
      });
  rewriter.setInsertionPoint(op);
  auto result = scf::tileConsumerAndFuseProducersUsingSCF(
      rewriter, cast<TilingInterface>(op.getOperation()), options);
  if (failed(result))
    return failure();
  for (OpResult value : op->getResults())
    rewriter.replaceAllUsesWith(value, result->replacements.lookup(value));
  rewriter.eraseOp(op);
  for (Operation *tiled : result->tiledAndFusedOps)
    if (auto generic = dyn_cast<linalg::GenericOp>(tiled);
        generic && isContractionCandidate(generic))
      return generic;
  return failure();
}

/// A slice of what was inserted into something, as an insertion into a slice of
/// that: each dimension is whole in one of the two.
static tensor::InsertSliceOp sliceInsertion(RewriterBase &rewriter,
                                            tensor::ExtractSliceOp slice,
                                            tensor::InsertSliceOp insertion) {
  auto whole = insertion.getDestType();
  if (insertion.getSourceType().getRank() != whole.getRank() ||
      slice.getType().getRank() != whole.getRank() || !slice.hasUnitStride())
    return {};
  SmallVector<OpFoldResult> from, to = insertion.getMixedOffsets(),
                                  sizes = insertion.getMixedSizes(),
                                  strides = insertion.getMixedStrides();
  for (int64_t dim = 0; dim < whole.getRank(); ++dim) {
    OpFoldResult offset = slice.getMixedOffsets()[dim];
    auto isWhole = [&](OpFoldResult offset, OpFoldResult size) {
      return isZeroInteger(offset) &&
             isConstantIntValue(size, whole.getDimSize(dim));
    };
    if (isWhole(offset, slice.getMixedSizes()[dim])) {
      from.push_back(rewriter.getIndexAttr(0));
      continue;
    }
    if (!isWhole(to[dim], sizes[dim]) || !isOneInteger(strides[dim]))
      return {};
    from.push_back(offset);
    sizes[dim] = slice.getMixedSizes()[dim];
  }
  Location loc = slice.getLoc();
  SmallVector<OpFoldResult> ones(whole.getRank(), rewriter.getIndexAttr(1));
  rewriter.setInsertionPoint(slice);
  Value source = tensor::ExtractSliceOp::create(
      rewriter, loc, insertion.getSource(), from, sizes, ones);
  Value dest = tensor::ExtractSliceOp::create(
      rewriter, loc, insertion.getDest(), slice.getMixedOffsets(),
      slice.getMixedSizes(), ones);
  return rewriter.replaceOpWithNewOp<tensor::InsertSliceOp>(slice, source, dest,
                                                            to, sizes, strides);
}

/// A slice of a slice, as one.
static tensor::ExtractSliceOp mergeSlices(RewriterBase &rewriter,
                                          tensor::ExtractSliceOp slice,
                                          tensor::ExtractSliceOp outer) {
  SmallVector<OpFoldResult> offsets, sizes, strides;
  rewriter.setInsertionPoint(slice);
  if (failed(affine::mergeOffsetsSizesAndStrides(
          rewriter, slice.getLoc(), outer, slice, outer.getDroppedDims(),
          offsets, sizes, strides)))
    return {};
  return rewriter.replaceOpWithNewOp<tensor::ExtractSliceOp>(
      slice, slice.getType(), outer.getSource(), offsets, sizes, strides);
}

/// Makes `input` of a tile from slices of what it is made of: pads it, and
/// inserts it into zeros.
static void fuseInput(RewriterBase &rewriter, Value input) {
  auto slice = input.getDefiningOp<tensor::ExtractSliceOp>();
  if (!slice)
    return;
  while (auto outer = slice.getSource().getDefiningOp<tensor::ExtractSliceOp>())
    if (!(slice = mergeSlices(rewriter, slice, outer)))
      return;
  Operation *source = slice.getSource().getDefiningOp();
  rewriter.setInsertionPoint(slice);
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(source)) {
    auto tile = tensor::replaceExtractSliceWithTiledProducer(
        rewriter, slice, fill->getResult(0));
    if (succeeded(tile))
      rewriter.replaceOp(slice, tile->tiledValues);
  } else if (auto pad = dyn_cast_or_null<tensor::PadOp>(source)) {
    auto tile = tensor::bubbleUpPadSlice(rewriter, pad, slice.getMixedOffsets(),
                                         slice.getMixedSizes(),
                                         /*generateZeroSliceGuard=*/false);
    if (succeeded(tile))
      rewriter.replaceOp(slice, tile->tiledValues);
  } else if (auto insertion = dyn_cast_or_null<tensor::InsertSliceOp>(source)) {
    if (auto tile = sliceInsertion(rewriter, slice, insertion)) {
      fuseInput(rewriter, tile.getSource());
      fuseInput(rewriter, tile.getDest());
    }
  }
}

static bool isCandidate(linalg::LinalgOp op, int64_t minElements) {
  if (op->getParentOfType<LoopLikeOpInterface>() ||
      !linalg::isaConvolutionOpInterface(op) || !isContractionCandidate(op) ||
      op->getNumResults() != 1 || becomesProducts(op) ||
      !getElementTypeOrSelf(op->getResult(0)).isF32())
    return false;
  return !op.hasDynamicShape() &&
         ShapedType::getNumElements(op.getStaticLoopRanges()) >= minElements &&
         op.getIndexingMapsArray()[2].isProjectedPermutation();
}

static LogicalResult tileConvolution(RewriterBase &rewriter,
                                     linalg::LinalgOp op) {
  using LoopType = scf::SCFTilingOptions::LoopType;
  rewriter.setInsertionPoint(op);
  auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
  if (!generic) {
    auto general = linalg::generalizeNamedOp(rewriter, op);
    if (failed(general))
      return failure();
    generic = *general;
  }
  generic = foldTransposes(rewriter, generic);
  Tiles tiles = TileSizes(generic).choose();
  auto tile =
      tileAndFill(rewriter, generic, tiles.parallel, LoopType::ForallOp);
  if (succeeded(tile))
    tile = tileAndFill(rewriter, *tile, tiles.reduction, LoopType::ForOp);
  if (failed(tile))
    return failure();
  if (tiles.fitsCache)
    fuseInput(rewriter, (*tile)->getOperand(0));
  return success();
}

namespace {
struct TileConvolutions
    : plait::impl::TrainTileConvolutionsBase<TileConvolutions> {
  using Base::Base;
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (isCandidate(op, minElements))
        ops.push_back(op);
    });
    for (linalg::LinalgOp op : ops) {
      Location loc = op.getLoc();
      if (failed(tileConvolution(rewriter, op))) {
        emitError(loc, "a convolution could not be tiled");
        return signalPassFailure();
      }
    }
  }
};
} // namespace
