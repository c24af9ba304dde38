//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Order filters: the gradient of a convolution's input is a convolution with the
// filter turned around, its channels exchanged. PyTorch writes that as a gather
// of each element and a transpose; JAX reverses and leaves the channels in the
// middle, where they are no rows of a matrix. Here it becomes one copy that
// reads the filter through a map, and has the channels first or last.
//
// It decides nothing about convolutions that read a filter as it is.
//
//===----------------------------------------------------------------------===//

#include "../Lower/ConvolutionPlan.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINORDERFILTERS
#include "plait/Passes.h.inc"
} // namespace plait

//===----------------------------------------------------------------------===//
// What a filter is a copy of
//===----------------------------------------------------------------------===//

namespace {
/// Element i of something is element map(i) of `source`.
struct Read {
  Value source;
  AffineMap map;
};
} // namespace

/// `value`, an index within a structured op, as an expression of its loops.
static std::optional<AffineExpr> exprOf(Value value) {
  MLIRContext *context = value.getContext();
  if (auto loop = value.getDefiningOp<linalg::IndexOp>())
    return getAffineDimExpr(loop.getDim(), context);
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return getAffineConstantExpr(constant.getSExtValue(), context);
  Operation *op = value.getDefiningOp();
  if (!isa_and_nonnull<arith::AddIOp, arith::SubIOp>(op))
    return std::nullopt;
  auto lhs = exprOf(op->getOperand(0)), rhs = exprOf(op->getOperand(1));
  if (!lhs || !rhs)
    return std::nullopt;
  return isa<arith::AddIOp>(op) ? *lhs + *rhs : *lhs - *rhs;
}

/// The tensor that `op` takes one element of in each iteration, and which.
static std::optional<Read> matchElement(linalg::LinalgOp op) {
  Block &body = *op.getBlock();
  Value yielded = body.getTerminator()->getOperand(0);
  if (auto arg = dyn_cast<BlockArgument>(yielded)) {
    if (arg.getOwner() != &body || arg.getArgNumber() >= op.getNumDpsInputs())
      return std::nullopt;
    OpOperand *operand = op.getDpsInputOperand(arg.getArgNumber());
    return Read{operand->get(), op.getMatchingIndexingMap(operand)};
  }
  auto extract = yielded.getDefiningOp<tensor::ExtractOp>();
  if (!extract ||
      op->isAncestor(extract.getTensor().getParentBlock()->getParentOp()))
    return std::nullopt;
  SmallVector<AffineExpr> exprs;
  for (Value index : extract.getIndices()) {
    std::optional<AffineExpr> expr = exprOf(index);
    if (!expr)
      return std::nullopt;
    exprs.push_back(*expr);
  }
  return Read{extract.getTensor(),
              AffineMap::get(op.getNumLoops(), 0, exprs, op.getContext())};
}

static std::optional<Read> matchSlice(tensor::ExtractSliceOp slice) {
  if (!slice.getType().hasStaticShape() ||
      slice.getType().getRank() != slice.getSourceType().getRank() ||
      ShapedType::isDynamicShape(slice.getStaticOffsets()) ||
      ShapedType::isDynamicShape(slice.getStaticStrides()))
    return std::nullopt;
  MLIRContext *context = slice.getContext();
  SmallVector<AffineExpr> exprs;
  for (auto [dim, offset, stride] :
       llvm::enumerate(slice.getStaticOffsets(), slice.getStaticStrides())) {
    // A loop alone would have to run over all of the dimension.
    if (offset == 0 && stride == 1 &&
        slice.getType().getDimSize(dim) !=
            slice.getSourceType().getDimSize(dim))
      return std::nullopt;
    exprs.push_back(getAffineDimExpr(dim, context) * stride + offset);
  }
  return Read{slice.getSource(),
              AffineMap::get(exprs.size(), 0, exprs, context)};
}

/// What `value` takes its elements from, if it is a copy.
static std::optional<Read> matchCopy(Value value) {
  if (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>())
    return matchSlice(slice);
  auto op = value.getDefiningOp<linalg::LinalgOp>();
  if (!op || !op.hasPureTensorSemantics() || op->getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() || op.hasDynamicShape())
    return std::nullopt;
  AffineMap out = op.getIndexingMapsArray().back();
  std::optional<Read> read = matchElement(op);
  if (!read || !out.isPermutation() ||
      !isa<RankedTensorType>(read->source.getType()))
    return std::nullopt;
  read->map = read->map.compose(inversePermutation(out));
  return read;
}

namespace {
/// A filter, followed through copies to where it lies.
struct Origin {
  Read read;
  Operation *first = nullptr; ///< of the copies
  int64_t copies = 0;
  bool isGather = false; ///< whether one of them is
};
} // namespace

static Origin findOrigin(Value filter) {
  int64_t rank = cast<RankedTensorType>(filter.getType()).getRank();
  Origin origin;
  origin.read = {filter,
                 AffineMap::getMultiDimIdentityMap(rank, filter.getContext())};
  while (std::optional<Read> copy = matchCopy(origin.read.source)) {
    origin.first = origin.read.source.getDefiningOp();
    origin.isGather |=
        !llvm::is_contained(origin.first->getOperands(), copy->source);
    ++origin.copies;
    origin.read.map = simplifyAffineMap(copy->map.compose(origin.read.map));
    origin.read.source = copy->source;
  }
  return origin;
}

//===----------------------------------------------------------------------===//
// Its order
//===----------------------------------------------------------------------===//

/// The dimensions of the filter as they should lie: groups first, and the
/// output channels beside them, or last if they are last in the output.
static SmallVector<int64_t> chooseOrder(linalg::LinalgOp op) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<int64_t> order =
      llvm::to_vector(llvm::seq<int64_t>(maps[1].getNumResults()));
  StringRef reason;
  FailureOr<SmallVector<unsigned>> loops = loopsOf(maps[1]);
  auto dims = linalg::inferConvolutionDims(op);
  constexpr int64_t kFewChannels = 8;
  if (failed(loops) || failed(dims) || dims->outputChannel.size() != 1 ||
      failed(isStaticMultiplyAdd(op, reason)))
    return order;
  unsigned channel = dims->outputChannel.front();
  // Those are not made products.
  if (!dims->depth.empty() && op.getStaticLoopRanges()[channel] <= kFewChannels)
    return order;
  auto isGroup = [&](int64_t dim) {
    return llvm::is_contained(dims->depth, (*loops)[dim]);
  };
  SmallVector<int64_t> wanted = order;
  auto rest = std::stable_partition(wanted.begin(), wanted.end(), isGroup);
  if (wanted == order &&
      ((*loops)[*rest] == channel || loops->back() == channel))
    return order;
  bool isLast =
      maps[2].getResults().back() == getAffineDimExpr(channel, op.getContext());
  std::stable_partition(rest, wanted.end(), [&](int64_t dim) {
    return ((*loops)[dim] == channel) != isLast;
  });
  return wanted;
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// For each dimension of a copy, the loop that runs along it. Loops are ordered
/// as the source lies: to walk through the copy as it lies would touch another
/// cache line, and for large filters another page, with every few elements.
static SmallVector<unsigned> loopsBySource(AffineMap map) {
  SmallVector<unsigned> loops;
  for (AffineExpr expr : map.getResults())
    for (unsigned dim = 0; dim < map.getNumDims(); ++dim)
      if (expr.isFunctionOfDim(dim) && !llvm::is_contained(loops, dim))
        loops.push_back(dim);
  for (unsigned dim = 0; dim < map.getNumDims(); ++dim)
    if (!llvm::is_contained(loops, dim))
      loops.push_back(dim);
  SmallVector<unsigned> position(loops.size());
  for (auto [i, dim] : llvm::enumerate(loops))
    position[dim] = i;
  return position;
}

/// The elements that `filter` has, in another order.
static Value copyFilter(RewriterBase &b, Value filter, const Origin &origin,
                        ArrayRef<int64_t> order) {
  auto type = cast<RankedTensorType>(filter.getType());
  SmallVector<unsigned> loops = loopsBySource(origin.read.map);
  SmallVector<int64_t> shape;
  SmallVector<AffineExpr> from(order.size()), to;
  for (int64_t dim : order) {
    shape.push_back(type.getDimSize(dim));
    from[dim] = b.getAffineDimExpr(loops[dim]);
    to.push_back(from[dim]);
  }
  auto mapOf = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(order.size(), 0, exprs, b.getContext());
  };
  AffineMap maps[] = {simplifyAffineMap(origin.read.map.compose(mapOf(from))),
                      mapOf(to)};
  SmallVector<utils::IteratorType> kinds(order.size(),
                                         utils::IteratorType::parallel);
  Location loc = filter.getLoc();
  Value empty = tensor::EmptyOp::create(b, loc, shape, type.getElementType());
  auto copy = linalg::GenericOp::create(
      b, loc, empty.getType(), origin.read.source, empty, maps, kinds,
      [](OpBuilder &b, Location loc, ValueRange args) {
        linalg::YieldOp::create(b, loc, args.front());
      });
  return copy.getResult(0);
}

static void orderFilter(RewriterBase &rewriter, linalg::LinalgOp op) {
  OpOperand &filter = op->getOpOperand(1);
  auto type = dyn_cast<RankedTensorType>(filter.get().getType());
  if (!type || !type.hasStaticShape())
    return;
  Origin origin = findOrigin(filter.get());
  SmallVector<int64_t> order = chooseOrder(op);
  bool isInOrder = llvm::is_sorted(order);
  if (isInOrder && !origin.isGather && origin.copies < 2)
    return;
  // Where the filter was read before: to read it later makes its update wait.
  rewriter.setInsertionPoint(origin.first ? origin.first : op);
  Value copy = copyFilter(rewriter, filter.get(), origin, order);
  if (isInOrder) {
    rewriter.modifyOpInPlace(op, [&] { filter.set(copy); });
    return;
  }
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<AffineExpr> exprs;
  for (int64_t dim : order)
    exprs.push_back(maps[1].getResult(dim));
  maps[1] = AffineMap::get(maps[1].getNumDims(), 0, exprs, op.getContext());
  rewriter.setInsertionPoint(op);
  auto generic = linalg::GenericOp::create(
      rewriter, op.getLoc(), op->getResultTypes(),
      ValueRange{op->getOperand(0), copy}, op.getDpsInits(), maps,
      op.getIteratorTypesArray());
  rewriter.inlineRegionBefore(op->getRegion(0), generic.getRegion(),
                              generic.getRegion().begin());
  rewriter.replaceOp(op, generic);
}

namespace {
struct OrderFilters : plait::impl::TrainOrderFiltersBase<OrderFilters> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (op.hasPureTensorSemantics() && op.getNumDpsInputs() == 2 &&
          op->getNumResults() == 1 && linalg::isaConvolutionOpInterface(op))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : ops)
      orderFilter(rewriter, op);
  }
};
} // namespace
