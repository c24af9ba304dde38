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
// Other convolutions become products later (train-lower-convolutions). Here their
// images are padded in parallel, and not transposed.
//
// It runs on tensors, where producers are known. It never tiles an image.
//
//===----------------------------------------------------------------------===//

#include "../Divisor.h"
#include "ContractionPlan.h"
#include "ConvolutionInputs.h"
#include "ConvolutionPlan.h"
#include "Epilogue.h"

#include "plait/Analysis/Aliases.h"
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

/// Whether `op` fills a tensor, or repeats a smaller one.
static bool isInit(Operation *op) {
  auto init = dyn_cast<linalg::LinalgOp>(op);
  return init && givesFirstValues(init) &&
         llvm::none_of(init.getDpsInputOperands(), [&](OpOperand *input) {
           return init.getMatchingIndexingMap(input).getNumResults() ==
                  init.getNumLoops();
         });
}

/// Moves what reads `op` before its `epilogue` behind that, for the loop that makes
/// both stands there: views of the sums. Fails if there is something else.
static LogicalResult moveReaders(linalg::LinalgOp op,
                                 linalg::GenericOp epilogue) {
  SmallVector<Operation *> readers;
  for (Operation *user : op->getUsers()) {
    if (user == epilogue || user->getBlock() != op->getBlock() ||
        !user->isBeforeInBlock(epilogue))
      continue;
    bool isLast = llvm::all_of(user->getUsers(), [&](Operation *next) {
      return next->getBlock() == op->getBlock() && next != epilogue &&
             epilogue->isBeforeInBlock(next);
    });
    if (!isView(user) || !isLast)
      return failure();
    readers.push_back(user);
  }
  for (Operation *reader : readers)
    reader->moveAfter(epilogue);
  return success();
}

/// The epilogue of `op`, or null. It works on the dimensions of the output.
static linalg::GenericOp findEpilogueOf(linalg::LinalgOp op) {
  for (Operation *user : op->getResult(0).getUsers()) {
    auto epilogue = dyn_cast<linalg::GenericOp>(user);
    if (!epilogue || !epilogue->hasAttr(kEpilogueAttr) ||
        epilogue->getBlock() != op->getBlock())
      continue;
    if (succeeded(moveReaders(op, epilogue)))
      return epilogue;
    epilogue->removeAttr(kEpilogueAttr);
    return {};
  }
  return {};
}

/// Replaces `value` behind the loops of `tiled`; what is left of it in them are
/// slices that fusion replaced.
static void replaceOutside(RewriterBase &rewriter, OpResult value,
                           const scf::SCFTileAndFuseResult &tiled) {
  Operation *loop = tiled.loops.front();
  Value replacement = tiled.replacements.lookup(value);
  for (OpOperand &use : llvm::make_early_inc_range(value.getUses())) {
    Operation *user = use.getOwner();
    bool isInside = loop->isProperAncestor(user);
    if (!isInside && replacement)
      rewriter.modifyOpInPlace(user, [&] { use.set(replacement); });
    else if (isInside && user->use_empty())
      rewriter.eraseOp(user);
  }
}

/// Tiles `op` and, with it, what fills its output, or, if there is an `epilogue`,
/// that and `op` with it. Returns the tile of `op`.
static FailureOr<linalg::GenericOp>
tileAndFill(RewriterBase &rewriter, linalg::GenericOp op,
            linalg::GenericOp epilogue, ArrayRef<int64_t> sizes,
            scf::SCFTilingOptions::LoopType type) {
  if (llvm::all_of(sizes, [](int64_t size) { return size == 0; }))
    return op;
  linalg::GenericOp root = epilogue ? epilogue : op;
  SmallVector<int64_t> rootSizes(sizes);
  if (epilogue) {
    rootSizes.clear();
    for (AffineExpr expr : op.getIndexingMapsArray()[2].getResults())
      rootSizes.push_back(sizes[cast<AffineDimExpr>(expr).getPosition()]);
  }
  scf::SCFTileAndFuseOptions options;
  options.tilingOptions.setTileSizes(
      getAsIndexOpFoldResult(op.getContext(), rootSizes));
  options.tilingOptions.setLoopType(type);
  // Sums that something else reads, too, are stored.
  bool isRead = !op->hasOneUse();
  // A sum that goes on from tile to tile begins once.
  bool isReduction = type == scf::SCFTilingOptions::LoopType::ForOp;
  options.setFusionControlFn(
      [=](tensor::ExtractSliceOp, OpResult producer, bool isDestination)
          -> std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> {
        if (epilogue && producer.getOwner() == op)
          return scf::SCFTileAndFuseOptions::ControlFnResult{isRead};
        if (!isDestination || isReduction || !isInit(producer.getOwner()))
          return std::nullopt;
        return scf::SCFTileAndFuseOptions::ControlFnResult{};
      });
  rewriter.setInsertionPoint(root);
  auto result = scf::tileConsumerAndFuseProducersUsingSCF(
      rewriter, cast<TilingInterface>(root.getOperation()), options);
  if (failed(result))
    return failure();
  for (linalg::GenericOp done : {root, op})
    for (OpResult value : done->getResults())
      replaceOutside(rewriter, value, *result);
  rewriter.eraseOp(root);
  if (op != root)
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

/// `op` itself, or in the place of a named one a general one.
static FailureOr<linalg::GenericOp> generalize(RewriterBase &rewriter,
                                               linalg::LinalgOp op) {
  rewriter.setInsertionPoint(op);
  if (auto generic = dyn_cast<linalg::GenericOp>(op.getOperation()))
    return generic;
  return linalg::generalizeNamedOp(rewriter, op);
}

/// A convolution that becomes products copies what it reads of its input, in any
/// layout, so that it needs no transposed one, as a weight gradient has.
static void readInPlace(RewriterBase &rewriter, linalg::LinalgOp op) {
  Value input = op->getOperand(0);
  if (auto pad = input.getDefiningOp<tensor::PadOp>())
    input = pad.getSource();
  if (!input.getDefiningOp<linalg::TransposeOp>())
    return;
  if (auto generic = generalize(rewriter, op); succeeded(generic))
    foldTransposes(rewriter, *generic, /*numInputs=*/1);
}

static LogicalResult tileConvolution(RewriterBase &rewriter,
                                     linalg::LinalgOp op) {
  using LoopType = scf::SCFTilingOptions::LoopType;
  auto general = generalize(rewriter, op);
  if (failed(general))
    return failure();
  linalg::GenericOp generic =
      foldTransposes(rewriter, *general, /*numInputs=*/2);
  Tiles tiles = TileSizes(generic).choose();
  auto tile = tileAndFill(rewriter, generic, findEpilogueOf(generic),
                          tiles.parallel, LoopType::ForallOp);
  if (succeeded(tile))
    tile = tileAndFill(rewriter, *tile, {}, tiles.reduction, LoopType::ForOp);
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
    SmallVector<linalg::LinalgOp> ops, products;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (isCandidate(op, minElements))
        ops.push_back(op);
      else if (op.hasPureTensorSemantics() && becomesProducts(op))
        products.push_back(op);
    });
    for (linalg::LinalgOp op : products)
      readInPlace(rewriter, op);
    for (linalg::LinalgOp op : ops) {
      Location loc = op.getLoc();
      if (failed(tileConvolution(rewriter, op))) {
        emitError(loc, "a convolution could not be tiled");
        return signalPassFailure();
      }
    }
    SmallVector<tensor::PadOp> pads;
    getOperation()->walk([&](tensor::PadOp pad) { pads.push_back(pad); });
    for (tensor::PadOp pad : pads)
      dividePad(rewriter, pad, minElements);
  }
};
} // namespace
