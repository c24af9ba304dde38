//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Skip zeros: both gradients of a strided convolution are written as
// convolutions with the output's gradient spread among zeros. Here they become
// convolutions with the gradient itself:
//
// - Of the input's gradient, each phase (pixels that are a stride apart) meets
//   the same taps of the filter each time. It is a convolution of its own, with
//   those taps alone.
// - In the weight's gradient what is spread is the filter: the input is read with
//   a dilation instead. And where the stride does not divide, PyTorch computes
//   some taps too many, and cuts them off.
//
// What is left out are products with zero, and sums nobody reads: sums keep their
// order. Convolutions of few channels, which are no products, stay as they are.
//
//===----------------------------------------------------------------------===//

#include "../Lower/ConvolutionPlan.h"
#include "Spread.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <functional>

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINSKIPZEROS
#include "plait/Passes.h.inc"
} // namespace plait

static bool isStatic(ArrayRef<int64_t> values) {
  return !ShapedType::isDynamicShape(values);
}

/// Whether `op` is, or will be, a product of tiles.
static bool isCandidate(linalg::LinalgOp op) {
  StringRef reason;
  if (!op.hasPureTensorSemantics() || op->getNumResults() != 1 ||
      !linalg::isaConvolutionOpInterface(op) ||
      failed(isStaticMultiplyAdd(op, reason)))
    return false;
  auto dims = linalg::inferConvolutionDims(op);
  return succeeded(dims) && (dims->depth.empty() || becomesProducts(op));
}

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// Elements of `value` from `offsets` on; `value` itself if that is all of it.
static Value takePart(RewriterBase &b, Location loc, Value value,
                      ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes,
                      ArrayRef<int64_t> strides) {
  if (sizes == shapeOf(value))
    return value;
  return tensor::ExtractSliceOp::create(
      b, loc, value, getAsIndexOpFoldResult(b.getContext(), offsets),
      getAsIndexOpFoldResult(b.getContext(), sizes),
      getAsIndexOpFoldResult(b.getContext(), strides));
}

//===----------------------------------------------------------------------===//
// The input's gradient
//===----------------------------------------------------------------------===//

namespace {
/// One phase along one dimension of the input.
struct Phase {
  int64_t first, count; ///< of the output, `stride` apart
  int64_t tap, taps;    ///< of the filter, `stride` apart
  int64_t begin, end;   ///< of the spread tensor's source
  int64_t low, high;    ///< zeros around that
  int64_t stride;
};

/// A convolution, and how its input is spread.
class PhaseSplitter {
public:
  PhaseSplitter(RewriterBase &b, linalg::LinalgOp op, Spread spread)
      : b(b), op(op), maps(op.getIndexingMapsArray()),
        spread(std::move(spread)) {}
  /// Finds the phases of each dimension; changes nothing.
  LogicalResult plan();
  /// Returns what replaces the result.
  Value rewrite();

private:
  LogicalResult planDimension(unsigned dim);
  bool coverAll();
  Value emit(ArrayRef<Phase> phases, Value acc);

  RewriterBase &b;
  linalg::LinalgOp op;
  SmallVector<AffineMap> maps;
  Spread spread;
  SmallVector<SmallVector<Phase>> phases; ///< of each dimension of the input
  /// For each dimension of the input that is spread, the dimensions of filter
  /// and output whose loops it adds.
  SmallVector<std::pair<int64_t, int64_t>> dims;
};
} // namespace

/// Which result of `map` is the loop `expr` alone.
static std::optional<int64_t> dimensionOf(AffineMap map, AffineExpr expr) {
  auto *found = llvm::find(map.getResults(), expr);
  if (!isa<AffineDimExpr>(expr) || found == map.getResults().end())
    return std::nullopt;
  return found - map.getResults().begin();
}

LogicalResult PhaseSplitter::planDimension(unsigned dim) {
  int64_t stride = spread.strides[dim], offset = spread.offsets[dim];
  int64_t extent = shapeOf(op->getOperand(0))[dim];
  int64_t size = shapeOf(spread.source)[dim];
  AffineExpr expr =
      simplifyAffineExpr(maps[0].getResult(dim), maps[0].getNumDims(), 0);
  SmallVector<Phase> &result = phases.emplace_back();
  dims.push_back({-1, -1});
  if (stride == 1) { // as it was
    result.push_back({0, 0, 0, 0, 0, size, offset, extent - offset - size, 1});
    return success();
  }
  auto sum = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!sum || sum.getKind() != AffineExprKind::Add)
    return failure();
  auto pixel = dimensionOf(maps[2], sum.getLHS()),
       tap = dimensionOf(maps[1], sum.getRHS());
  if (!pixel || !tap) {
    pixel = dimensionOf(maps[2], sum.getRHS());
    tap = dimensionOf(maps[1], sum.getLHS());
  }
  if (!pixel || !tap)
    return failure();
  dims.back() = {*tap, *pixel};
  int64_t taps = shapeOf(op->getOperand(1))[*tap];
  int64_t pixels = shapeOf(op->getResult(0))[*pixel];
  for (int64_t first = 0; first < std::min(stride, pixels); ++first) {
    Phase phase;
    phase.stride = stride;
    phase.first = first;
    phase.count = llvm::divideCeil(pixels - first, stride);
    phase.tap = llvm::mod(offset - first, stride);
    if (phase.tap >= taps)
      continue;
    phase.taps = llvm::divideCeil(taps - phase.tap, stride);
    // Pixel i and tap j meet element from + i + j of the source.
    int64_t from = (first + phase.tap - offset) / stride;
    int64_t to = from + phase.count + phase.taps - 1;
    phase.begin = std::clamp<int64_t>(from, 0, size);
    phase.end = std::clamp<int64_t>(to, phase.begin, size);
    phase.low = phase.begin - from;
    phase.high = to - phase.end;
    if (phase.begin < phase.end)
      result.push_back(phase);
  }
  return success();
}

LogicalResult PhaseSplitter::plan() {
  for (unsigned dim = 0; dim < spread.strides.size(); ++dim)
    if (failed(planDimension(dim)))
      return failure();
  return success();
}

/// Whether each pixel of the result is in a phase: then nothing else is.
bool PhaseSplitter::coverAll() {
  return llvm::all_of(llvm::enumerate(phases), [&](auto entry) {
    auto [dim, ofDim] = entry;
    int64_t count = 0;
    for (const Phase &phase : ofDim)
      if (phase.stride == 1)
        return true;
      else
        count += phase.count;
    return count == shapeOf(op.getDpsInits()[0])[dims[dim].second];
  });
}

/// A tensor of the shape of `acc` that nobody has written to, or one of zeros.
static Value makeLike(OpBuilder &b, Value acc, ArrayRef<int64_t> shape,
                      linalg::FillOp fill) {
  Value empty = tensor::EmptyOp::create(b, acc.getLoc(), shape,
                                        getElementTypeOrSelf(acc));
  return fill ? linalg::FillOp::create(b, acc.getLoc(), fill.getInputs(), empty)
                    .getResult(0)
              : empty;
}

/// Adds what one phase has in each dimension to `acc`.
Value PhaseSplitter::emit(ArrayRef<Phase> phase, Value acc) {
  Location loc = op.getLoc();
  auto startOf = [](Value value) {
    return SmallVector<int64_t>(shapeOf(value).size(), 0);
  };
  Value source = spread.source, filter = op->getOperand(1);
  SmallVector<int64_t> from = startOf(source), ones(from.size(), 1),
                       size(shapeOf(source)), low, high;
  SmallVector<int64_t> tap = startOf(filter), taps(shapeOf(filter)),
                       tapStep(tap.size(), 1);
  SmallVector<int64_t> first = startOf(acc), count(shapeOf(acc)),
                       step(first.size(), 1);
  for (auto [dim, p] : llvm::enumerate(phase)) {
    from[dim] = p.begin;
    size[dim] = p.end - p.begin;
    low.push_back(p.low);
    high.push_back(p.high);
    if (p.stride == 1)
      continue;
    auto [inFilter, inOutput] = dims[dim];
    tap[inFilter] = p.tap;
    taps[inFilter] = p.taps;
    tapStep[inFilter] = p.stride;
    first[inOutput] = p.first;
    count[inOutput] = p.count;
    step[inOutput] = p.stride;
  }
  Value input = takePart(b, loc, source, from, size, ones);
  auto isPositive = [](int64_t value) { return value > 0; };
  if (llvm::any_of(low, isPositive) || llvm::any_of(high, isPositive)) {
    Value zero = arith::ConstantOp::create(
        b, loc, b.getZeroAttr(getElementTypeOrSelf(input)));
    input = tensor::PadOp::create(
        b, loc, Type(), input, getAsIndexOpFoldResult(b.getContext(), low),
        getAsIndexOpFoldResult(b.getContext(), high), zero);
  }
  filter = takePart(b, loc, filter, tap, taps, tapStep);
  // Sums from zero begin with zeros of their own, not with parts of a tensor.
  auto fill = op.getDpsInits().front().getDefiningOp<linalg::FillOp>();
  Value init = fill ? makeLike(b, acc, count, fill)
                    : takePart(b, loc, acc, first, count, step);
  Operation *part =
      clone(b, op, TypeRange(init.getType()), {input, filter, init});
  return tensor::InsertSliceOp::create(
      b, loc, part->getResult(0), acc,
      getAsIndexOpFoldResult(b.getContext(), first),
      getAsIndexOpFoldResult(b.getContext(), count),
      getAsIndexOpFoldResult(b.getContext(), step));
}

Value PhaseSplitter::rewrite() {
  Value acc = op.getDpsInits().front();
  if (acc.getDefiningOp<linalg::FillOp>() && coverAll())
    acc = makeLike(b, acc, shapeOf(acc), /*fill=*/{});
  SmallVector<Phase> chosen(phases.size());
  std::function<void(unsigned)> choose = [&](unsigned dim) {
    if (dim == phases.size()) {
      acc = emit(chosen, acc);
      return;
    }
    for (const Phase &phase : phases[dim]) {
      chosen[dim] = phase;
      choose(dim + 1);
    }
  };
  choose(0);
  return acc;
}

namespace {
struct SplitPhases : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!isCandidate(op))
      return rewriter.notifyMatchFailure(op, "no convolution to be a product");
    FailureOr<Spread> spread = matchSpread(op->getOperand(0));
    if (failed(spread))
      return rewriter.notifyMatchFailure(op, "the input is not spread");
    PhaseSplitter splitter(rewriter, op, *spread);
    if (failed(splitter.plan()))
      return rewriter.notifyMatchFailure(
          op, "a spread dimension is not a pixel and a tap");
    rewriter.replaceOp(op, splitter.rewrite());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// The weight's gradient
//===----------------------------------------------------------------------===//

/// A spread filter steps through the input with its strides.
struct DilateForFilter : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!isCandidate(op))
      return rewriter.notifyMatchFailure(op, "no convolution to be a product");
    FailureOr<Spread> spread = matchSpread(op->getOperand(1));
    if (failed(spread))
      return rewriter.notifyMatchFailure(op, "the filter is not spread");
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    SmallVector<AffineExpr> loops;
    for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
      loops.push_back(rewriter.getAffineDimExpr(loop));
    ArrayRef<int64_t> shape = shapeOf(op->getOperand(1));
    for (auto [dim, expr] : llvm::enumerate(maps[1].getResults())) {
      int64_t stride = spread->strides[dim];
      if (shapeOf(spread->source)[dim] == shape[dim])
        continue;
      if (spread->offsets[dim] != 0 || dimensionOf(maps[0], expr) ||
          dimensionOf(maps[2], expr))
        return rewriter.notifyMatchFailure(op, "what is spread is no tap");
      loops[cast<AffineDimExpr>(expr).getPosition()] = expr * stride;
    }
    maps[0] = simplifyAffineMap(
        maps[0].replaceDimsAndSymbols(loops, {}, maps[0].getNumDims(), 0));
    auto generic = linalg::GenericOp::create(
        rewriter, op.getLoc(), op->getResultTypes(),
        ValueRange{op->getOperand(0), spread->source}, op.getDpsInits(), maps,
        op.getIteratorTypesArray());
    rewriter.inlineRegionBefore(op->getRegion(0), generic.getRegion(),
                                generic.getRegion().begin());
    rewriter.replaceOp(op, generic);
    return success();
  }
};

/// A convolution makes no more than what is read of its result.
struct CutResult : OpRewritePattern<tensor::ExtractSliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::ExtractSliceOp slice,
                                PatternRewriter &rewriter) const override {
    auto op = slice.getSource().getDefiningOp<linalg::LinalgOp>();
    if (!op || !op->hasOneUse() || !isCandidate(op))
      return rewriter.notifyMatchFailure(slice, "no convolution of its own");
    ArrayRef<int64_t> offsets = slice.getStaticOffsets(),
                      sizes = slice.getStaticSizes();
    if (!slice.hasUnitStride() || !isStatic(offsets) || !isStatic(sizes) ||
        slice.getType().getRank() != slice.getSourceType().getRank())
      return rewriter.notifyMatchFailure(slice, "not a plain part");
    SmallVector<int64_t> first(op.getNumLoops(), 0),
        last = op.getStaticLoopRanges();
    for (int64_t &end : last)
      --end;
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    for (auto [dim, expr] : llvm::enumerate(maps[2].getResults())) {
      auto loop = dyn_cast<AffineDimExpr>(expr);
      if (!loop)
        return rewriter.notifyMatchFailure(op, "the output has no plain loops");
      first[loop.getPosition()] = offsets[dim];
      last[loop.getPosition()] = offsets[dim] + sizes[dim] - 1;
    }
    rewriter.setInsertionPoint(op);
    SmallVector<Value> operands;
    for (auto [map, operand] : llvm::zip_equal(maps, op->getOperands())) {
      SmallVector<int64_t> from = map.compose(first), to = map.compose(last);
      SmallVector<int64_t> ones(from.size(), 1);
      for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
        to[dim] += 1 - from[dim];
        // A window may end before the image does.
        if (from[dim] == 0 && !isa<AffineDimExpr>(expr))
          to[dim] = shapeOf(operand)[dim];
      }
      operands.push_back(
          takePart(rewriter, op.getLoc(), operand, from, to, ones));
    }
    // A sum from zero stays one: the pass that follows looks for that.
    if (auto fill = op.getDpsInits().front().getDefiningOp<linalg::FillOp>()) {
      Value empty = tensor::EmptyOp::create(rewriter, fill.getLoc(),
                                            slice.getType(), ValueRange());
      operands.back() = linalg::FillOp::create(rewriter, fill.getLoc(),
                                               fill.getInputs(), empty)
                            .getResult(0);
    }
    Operation *part = clone(rewriter, op, TypeRange(slice.getType()), operands);
    rewriter.replaceOp(slice, part->getResults());
    rewriter.eraseOp(op);
    return success();
  }
};

struct SkipZeros : plait::impl::TrainSkipZerosBase<SkipZeros> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    patterns.add<SplitPhases, DilateForFilter, CutResult>(context);
    if (failed(applyPatternsGreedily(
            getOperation(), std::move(patterns),
            GreedyRewriteConfig().enableConstantCSE(false))))
      signalPassFailure();
  }
};
} // namespace
