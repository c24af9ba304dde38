//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lower convolutions to products, a tile at a time: the elements of the input
// that a tile of the output needs are copied to a matrix, the columns, that
// fits in a cache, and multiplied by the filter as it lies in memory.
//
// The weight gradient of a convolution and its input gradient are convolutions,
// too, of other proportions: a "filter" as large as the image, and an output of
// 3x3. So nothing here assumes that filters are small.
//
// What gives the output its first values, a zero or a bias, and the epilogue of
// the convolution are done tile by tile, too, while the tile is in a cache.
//
// It runs on buffers, before they are placed: the columns are one, and inside
// a parallel loop each thread has its own.
//
//===----------------------------------------------------------------------===//

#include "../Divisor.h"
#include "ConvolutionPlan.h"
#include "Epilogue.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINLOWERCONVOLUTIONS
#include "plait/Passes.h.inc"
} // namespace plait

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// Loops over tiles of some loops; returns the op on one tile.
static FailureOr<linalg::LinalgOp>
tileLoops(RewriterBase &rewriter, linalg::LinalgOp op, ArrayRef<int64_t> tile,
          ArrayRef<unsigned> loops, scf::SCFTilingOptions::LoopType type) {
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  SmallVector<int64_t> sizes(extents.size(), 0);
  bool isWhole = true;
  for (unsigned loop : loops)
    if (tile[loop] != extents[loop]) {
      sizes[loop] = tile[loop];
      isWhole = false;
    }
  if (isWhole)
    return op;
  scf::SCFTilingOptions options;
  options.setTileSizes(getAsIndexOpFoldResult(op.getContext(), sizes));
  options.setLoopType(type);
  rewriter.setInsertionPoint(op);
  auto tiled = scf::tileUsingSCF(
      rewriter, cast<TilingInterface>(op.getOperation()), options);
  if (failed(tiled))
    return failure();
  rewriter.eraseOp(op);
  return cast<linalg::LinalgOp>(tiled->tiledOps.front());
}

/// Divides `op` among threads by its outermost loop. Returns a part.
static linalg::LinalgOp shareLoop(RewriterBase &b, linalg::LinalgOp op) {
  SmallVector<int64_t> tile = op.getStaticLoopRanges();
  tile[0] = largestDivisor(tile[0], llvm::divideCeil(tile[0], 32));
  OpBuilder::InsertionGuard guard(b);
  auto part =
      tileLoops(b, op, tile, 0u, scf::SCFTilingOptions::LoopType::ForallOp);
  return succeeded(part) ? *part : op;
}

/// Collapses the dimensions of `memref` into `groups` of them.
static Value collapse(OpBuilder &b, Location loc, Value memref,
                      ArrayRef<ReassociationIndices> groups) {
  if (cast<MemRefType>(memref.getType()).getRank() == int64_t(groups.size()))
    return memref;
  return memref::CollapseShapeOp::create(b, loc, memref, groups);
}

/// Puts dimensions with the loops `loops` into one group for `channel` and one
/// for all else, in their order; those of one element go with the one before.
/// Fails if the channel is in the middle.
static FailureOr<SmallVector<ReassociationIndices>>
splitAt(unsigned channel, ArrayRef<unsigned> loops, ArrayRef<int64_t> tile) {
  SmallVector<ReassociationIndices> groups;
  std::optional<bool> last;
  for (auto [dim, loop] : llvm::enumerate(loops)) {
    bool isChannel = loop == channel;
    bool isUnit = !isChannel && tile[loop] == 1;
    if (groups.empty() || (!isUnit && last && *last != isChannel))
      groups.emplace_back();
    groups.back().push_back(dim);
    if (!isUnit)
      last = isChannel;
  }
  if (groups.size() != 2)
    return failure();
  return groups;
}

/// Copies; a shared one in parallel along its outermost loop. Returns the copy,
/// of one part.
static linalg::LinalgOp makeCopy(RewriterBase &b, Location loc, Value from,
                                 Value to, AffineMap fromMap, AffineMap toMap,
                                 bool isShared) {
  SmallVector<utils::IteratorType> kinds(fromMap.getNumDims(),
                                         utils::IteratorType::parallel);
  linalg::LinalgOp copy = linalg::GenericOp::create(
      b, loc, ValueRange{from}, ValueRange{to}, ArrayRef{fromMap, toMap}, kinds,
      [](OpBuilder &b, Location loc, ValueRange args) {
        linalg::YieldOp::create(b, loc, args.front());
      });
  return isShared ? shareLoop(b, copy) : copy;
}

static Value allocate(OpBuilder &b, Location loc, ArrayRef<unsigned> loops,
                      ArrayRef<int64_t> tile) {
  SmallVector<int64_t> shape;
  for (unsigned loop : loops)
    shape.push_back(tile[loop]);
  return memref::AllocOp::create(b, loc,
                                 MemRefType::get(shape, b.getF32Type()));
}

/// The columns of one tile, with the loops `order` as dimensions.
static Value fillColumns(RewriterBase &b, linalg::LinalgOp op,
                         const Convolution &conv, ArrayRef<unsigned> order) {
  AffineMap input = op.getIndexingMapsArray()[0];
  SmallVector<AffineExpr> dims(input.getNumDims(), b.getAffineConstantExpr(0));
  for (auto [dim, loop] : llvm::enumerate(order))
    dims[loop] = b.getAffineDimExpr(dim);
  Value columns = allocate(b, op.getLoc(), order, conv.tile);
  makeCopy(b, op.getLoc(), op->getOperand(0), columns,
           input.replaceDimsAndSymbols(dims, {}, order.size(), 0),
           b.getMultiDimIdentityMap(order.size()), conv.isShared);
  return columns;
}

/// acc[channel, place] += filter[channel, step] * columns[place, step], each
/// with its dimensions in this order or the other.
static void multiply(OpBuilder &b, Location loc, Value filter, bool stepsInner,
                     Value columns, bool placesInner, Value acc,
                     bool channelInner) {
  auto mapOf = [&](unsigned outer, unsigned inner, bool swap) {
    return AffineMap::get(3, 0,
                          {b.getAffineDimExpr(swap ? inner : outer),
                           b.getAffineDimExpr(swap ? outer : inner)},
                          b.getContext());
  };
  // Loops: channel 0, place 1, step 2.
  AffineMap maps[] = {mapOf(0, 2, !stepsInner), mapOf(1, 2, placesInner),
                      mapOf(0, 1, channelInner)};
  auto parallel = utils::IteratorType::parallel;
  linalg::GenericOp::create(
      b, loc, ValueRange{filter, columns}, ValueRange{acc}, maps,
      ArrayRef{parallel, parallel, utils::IteratorType::reduction},
      [](OpBuilder &b, Location loc, ValueRange args) {
        Value product = arith::MulFOp::create(b, loc, args[0], args[1]);
        Value sum = arith::AddFOp::create(b, loc, args[2], product);
        linalg::YieldOp::create(b, loc, sum);
      });
}

/// Replaces a convolution of one tile by a copy and a product, whose sums begin
/// with `first` if there is one.
static void rewriteTile(RewriterBase &b, linalg::LinalgOp op,
                        const Convolution &conv, Value first) {
  Location loc = op.getLoc();
  b.setInsertionPoint(op);
  SmallVector<unsigned> order =
      llvm::to_vector(conv.placesInner ? conv.steps : conv.places);
  llvm::append_range(order, conv.placesInner ? conv.places : conv.steps);
  size_t outer = conv.placesInner ? conv.steps.size() : conv.places.size();
  SmallVector<ReassociationIndices> split(2);
  for (size_t dim = 0; dim < order.size(); ++dim)
    split[dim >= outer].push_back(dim);
  Value columns = collapse(b, loc, fillColumns(b, op, conv, order), split);

  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<unsigned> filterLoops = *loopsOf(maps[1]);
  SmallVector<unsigned> outputLoops = *loopsOf(maps[2]);
  auto filterSplit = *splitAt(conv.channel, filterLoops, conv.tile);
  auto outputSplit = *splitAt(conv.channel, outputLoops, conv.tile);
  Value filter = collapse(b, loc, op->getOperand(1), filterSplit);
  Value acc = collapse(b, loc, op->getOperand(2), outputSplit);
  auto isChannel = [&](ArrayRef<unsigned> loops, ReassociationIndices &group) {
    return llvm::any_of(
        group, [&](int64_t dim) { return loops[dim] == conv.channel; });
  };
  // Right before the product, which then does it in registers.
  if (first)
    linalg::FillOp::create(b, loc, first, acc);
  multiply(b, loc, filter, isChannel(filterLoops, filterSplit[0]), columns,
           conv.placesInner, acc, isChannel(outputLoops, outputSplit[1]));
  b.eraseOp(op);
}

/// Gives a tile whose output is no matrix in memory one of its own that is copied
/// back: of several images, where channels lie between images and pixels, or of
/// pixels with gaps between them. Returns the op on it, and the copy.
static std::pair<linalg::LinalgOp, linalg::LinalgOp>
gatherOutput(RewriterBase &b, linalg::LinalgOp op, const Convolution &conv,
             bool hasValues) {
  Location loc = op.getLoc();
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<unsigned> loops = {conv.channel};
  llvm::append_range(loops, conv.places);
  SmallVector<AffineExpr> exprs;
  for (unsigned loop : loops)
    exprs.push_back(b.getAffineDimExpr(loop));
  AffineMap gathered =
      AffineMap::get(maps[2].getNumDims(), 0, exprs, b.getContext());
  // The same maps over the loops of the output only.
  SmallVector<AffineExpr> dims(maps[2].getNumDims(),
                               b.getAffineConstantExpr(0));
  for (auto [dim, loop] : llvm::enumerate(loops))
    dims[loop] = b.getAffineDimExpr(dim);
  AffineMap there = maps[2].replaceDimsAndSymbols(dims, {}, loops.size(), 0);
  AffineMap here = b.getMultiDimIdentityMap(loops.size());

  b.setInsertionPoint(op);
  Value output = op->getOperand(2);
  Value own = allocate(b, loc, loops, conv.tile);
  if (hasValues)
    makeCopy(b, loc, output, own, there, here, conv.isShared);
  maps[2] = gathered;
  auto result = linalg::GenericOp::create(
      b, loc, ValueRange{op->getOperand(0), op->getOperand(1)}, ValueRange{own},
      maps, op.getIteratorTypesArray());
  b.inlineRegionBefore(*op.getBlock()->getParent(), result.getRegion(),
                       result.getRegion().begin());
  auto copy = makeCopy(b, loc, own, output, here, there, conv.isShared);
  b.eraseOp(op);
  return {result, copy};
}

/// Whether the elements of `memref` lie without gaps, row-major.
static bool isDense(Value memref) {
  return cast<MemRefType>(memref.getType()).getLayout().isIdentity();
}

/// A filter with gaps (a gradient that is a part of another) is copied: as a
/// matrix it must be contiguous.
static void makeFilterDense(RewriterBase &rewriter, linalg::LinalgOp op) {
  OpOperand &filter = op->getOpOperand(1);
  if (isDense(filter.get()))
    return;
  auto type = cast<MemRefType>(filter.get().getType());
  rewriter.setInsertionPoint(op);
  Value dense = memref::AllocOp::create(
      rewriter, op.getLoc(),
      MemRefType::get(type.getShape(), type.getElementType()));
  AffineMap map = rewriter.getMultiDimIdentityMap(type.getRank());
  makeCopy(rewriter, op.getLoc(), filter.get(), dense, map, map,
           /*isShared=*/false);
  rewriter.modifyOpInPlace(op, [&] { filter.set(dense); });
}

//===----------------------------------------------------------------------===//
// What stands around
//===----------------------------------------------------------------------===//

/// Does for `part` of `whole`, the output of a convolution, what `op` does for all
/// of it, at the insertion point.
static void repeatFor(RewriterBase &b, linalg::LinalgOp op, Value whole,
                      Value part, bool isShared) {
  linalg::LinalgOp result;
  if (auto view = part.getDefiningOp<memref::SubViewOp>();
      view && part != whole) {
    auto tiled = cast<TilingInterface>(op.getOperation())
                     .getTiledImplementation(b, view.getMixedOffsets(),
                                             view.getMixedSizes());
    assert(succeeded(tiled) && "loops of a structured op can be tiled");
    result = cast<linalg::LinalgOp>(tiled->tiledOps.front());
  } else {
    result = cast<linalg::LinalgOp>(b.clone(*op.getOperation()));
  }
  result->removeAttr(kEpilogueAttr);
  // Threads share one large tile.
  if (isShared && part == whole)
    shareLoop(b, result);
}

/// A convolution that becomes products, with what is done in each tile of it.
namespace {
class ConvolutionLowering {
public:
  ConvolutionLowering(RewriterBase &rewriter, linalg::LinalgOp op,
                      Convolution conv)
      : b(rewriter), op(op), conv(std::move(conv)), output(op->getOperand(2)),
        init(findFirstValues(op)), epilogue(findEpilogue(op)) {}
  LogicalResult lower();

private:
  LogicalResult lowerTile(linalg::LinalgOp tile);
  void finish(linalg::LinalgOp last, Value part);

  RewriterBase &b;
  linalg::LinalgOp op;
  Convolution conv;
  Value output;
  linalg::LinalgOp init;
  linalg::GenericOp epilogue;
};
} // namespace

/// The epilogue for `part`, which `last` is the last to write to.
void ConvolutionLowering::finish(linalg::LinalgOp last, Value part) {
  if (!epilogue)
    return;
  b.setInsertionPointAfter(last);
  repeatFor(b, epilogue, output, part, conv.isShared);
}

LogicalResult ConvolutionLowering::lowerTile(linalg::LinalgOp tile) {
  Value part = tile->getOperand(2), zero;
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(init.getOperation())) {
    zero = fill.value();
  } else if (init) {
    b.setInsertionPoint(tile);
    repeatFor(b, init, output, part, conv.isShared);
  }
  bool isMatrix =
      isDense(output) &&
      succeeded(splitAt(conv.channel, *loopsOf(tile.getIndexingMapsArray()[2]),
                        conv.tile));
  if (isMatrix) {
    finish(tile, part);
  } else {
    auto [gathered, copy] = gatherOutput(b, tile, conv, /*hasValues=*/!zero);
    finish(copy, copy.getDpsInits()[0]);
    tile = gathered;
  }
  bool isOneStep = llvm::all_of(conv.steps, [&](unsigned loop) {
    return conv.tile[loop] == tile.getStaticLoopRanges()[loop];
  });
  if (zero && !isOneStep) {
    b.setInsertionPoint(tile);
    linalg::FillOp::create(b, tile.getLoc(), zero, tile->getOperand(2));
  }
  auto step = tileLoops(b, tile, conv.tile, conv.steps,
                        scf::SCFTilingOptions::LoopType::ForOp);
  if (failed(step))
    return failure();
  rewriteTile(b, *step, conv, isOneStep ? zero : Value());
  return success();
}

LogicalResult ConvolutionLowering::lower() {
  makeFilterDense(b, op);
  using LoopType = scf::SCFTilingOptions::LoopType;
  bool isNested = op->getParentOfType<scf::ForallOp>() ||
                  op->getParentOfType<scf::ParallelOp>();
  SmallVector<unsigned> outer = conv.groups;
  llvm::append_range(outer, conv.places);
  conv.isShared &= !isNested;
  auto tile = tileLoops(b, op, conv.tile, outer,
                        isNested ? LoopType::ForOp : LoopType::ForallOp);
  if (failed(tile) || failed(lowerTile(*tile)))
    return failure();
  if (init)
    b.eraseOp(init);
  if (epilogue)
    b.eraseOp(epilogue);
  return success();
}

namespace {
struct LowerConvolutions
    : plait::impl::TrainLowerConvolutionsBase<LowerConvolutions> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (op.hasPureBufferSemantics() && linalg::isaConvolutionOpInterface(op))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : ops) {
      Location loc = op.getLoc();
      StringRef reason;
      FailureOr<Convolution> conv = planConvolution(op, reason);
      if (failed(conv) ||
          failed(ConvolutionLowering(rewriter, op, *conv).lower()))
        remark::missed(loc, remark::RemarkOpts::name("LowerConvolutions")
                                .category("train-lower-convolutions"))
            << ("convolution not lowered: " + reason).str();
    }
  }
};
} // namespace
