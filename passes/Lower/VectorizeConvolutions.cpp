//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions that are no products (depthwise ones, with few channels in a
// group, with one channel) as loops around a block of vector multiply-adds. The
// block has the sums in registers; it loads each vector of the input once, and
// uses it for all taps, rows and channels that need it.
//
// Sums begin in registers with the zero or the bias that would stand in memory,
// and go through the epilogue before they are stored.
//
// Each sum along a parallel loop is one chain of multiply-adds. Where vectors
// run along a reduction, as along the rows of a weight gradient, each lane is
// such a chain, and lanes are halved until one is left.
//
//===----------------------------------------------------------------------===//

#include "ConvolutionPlan.h"
#include "DirectConvolution.h"
#include "Epilogue.h"
#include "Lanes.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Remarks.h"

#include <map>

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINVECTORIZECONVOLUTIONS
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
using Offset = SmallVector<int64_t>;

/// An operand within the loops that were emitted so far.
struct LoadedOperand {
  const WindowOperand *operand;
  int64_t laneStep;
  size_t level;
  /// The indices of its first element; of all dimensions.
  SmallVector<Value> base;
  /// The vectors by where they are from the base on, once they are loaded.
  std::map<Offset, Value> vectors;
};

class ConvolutionEmitter {
public:
  ConvolutionEmitter(OpBuilder &builder, Location loc,
                     const DirectConvolution &conv, linalg::LinalgOp first,
                     linalg::GenericOp epilogue)
      : b(loc, builder), c(conv), first(first), count(conv.unroll),
        numParallel(llvm::count_if(
            conv.order, [&](unsigned l) { return !conv.isReduction(l); })) {
    for (const WindowOperand *operand : {&c.input, &c.filter, &c.output})
      operands.push_back(
          {operand, *operand->laneStep(c.lane), c.level(*operand), {}, {}});
    at.assign(c.extents.size(), cst(0));
    product.acc.memref = c.output.memref;
    product.epilogue = epilogue;
  }

  /// All loops of the order from number `depth` on, and what they do.
  void emit(size_t depth = 0);

private:
  Value cst(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  VectorType vec(int64_t size) {
    return VectorType::get({size}, b.getF32Type());
  }
  Value mask(int64_t size, int64_t valid) {
    return vector::ConstantMaskOp::create(
        b, VectorType::get({size}, b.getI1Type()), ArrayRef{valid});
  }
  /// The iterations in registers, with the lanes as one.
  SmallVector<int64_t> box() const;
  SmallVector<Value> indices(LoadedOperand &from, ArrayRef<int64_t> offset);
  Value loadVector(Value memref, ValueRange where, int64_t size, int64_t valid);
  Value loadStrided(LoadedOperand &from, Offset offset);
  Value get(LoadedOperand &from, ArrayRef<int64_t> offset);
  void enter(LoadedOperand &operand);
  Value firstValue(ArrayRef<int64_t> offset);
  void beginSums();
  void store(Value sum, ArrayRef<int64_t> offset);
  void endSums();
  void multiplyAdd();
  void emitIteration(size_t depth, Value position, int64_t iterations);

  ImplicitLocOpBuilder b;
  const DirectConvolution &c;
  linalg::LinalgOp first; ///< what gives the output its first values, or null
  Contraction product;    ///< the output and its epilogue
  SmallVector<Value> at;  ///< where each loop is
  SmallVector<int64_t>
      count;          ///< and how many iterations of it are in registers
  size_t numParallel; ///< of the loops in the order
  SmallVector<LoadedOperand> operands; ///< input, filter, output
  std::map<Offset, Value> sums;        ///< by their offset in the output
};
} // namespace

SmallVector<int64_t> ConvolutionEmitter::box() const {
  SmallVector<int64_t> result = count;
  result[c.lane] = 1;
  return result;
}

SmallVector<Value> ConvolutionEmitter::indices(LoadedOperand &from,
                                               ArrayRef<int64_t> offset) {
  return llvm::map_to_vector(
      llvm::zip_equal(from.base, offset), [&](auto pair) -> Value {
        auto [base, distance] = pair;
        return distance ? b.createOrFold<arith::AddIOp>(base, cst(distance))
                        : base;
      });
}

/// `size` elements of a row, of which the first `valid` may be read.
Value ConvolutionEmitter::loadVector(Value memref, ValueRange where,
                                     int64_t size, int64_t valid) {
  if (valid == size)
    return vector::LoadOp::create(b, vec(size), memref, where);
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(vec(size)));
  return vector::MaskedLoadOp::create(b, vec(size), memref, where,
                                      mask(size, valid), zeros);
}

/// Every laneStep-th element of a row. Vectors that begin within one step are
/// parts of the same elements, which are loaded once.
Value ConvolutionEmitter::loadStrided(LoadedOperand &from, Offset offset) {
  int64_t step = from.laneStep, size = step * c.width;
  int64_t phase = offset.back() % step;
  offset.back() -= phase;
  // No farther than to the last element that is used.
  int64_t lastPhase = phase;
  for (int64_t other = phase + 1; other < step; ++other) {
    Offset next = offset;
    next.back() += other;
    if (from.vectors.count(next))
      lastPhase = other;
  }
  int64_t valid = (count[c.lane] - 1) * step + lastPhase + 1;
  Value row =
      loadVector(from.operand->memref, indices(from, offset), size, valid);
  for (int64_t i = 0; i <= lastPhase; ++i) {
    Offset next = offset;
    next.back() += i;
    auto vector = from.vectors.find(next);
    if (vector == from.vectors.end())
      continue;
    SmallVector<int64_t> picked;
    for (int64_t lane = 0; lane < c.width; ++lane)
      picked.push_back(lane * step + i);
    vector->second = vector::ShuffleOp::create(b, row, row, picked);
  }
  offset.back() += phase;
  return from.vectors[offset];
}

Value ConvolutionEmitter::get(LoadedOperand &from, ArrayRef<int64_t> offset) {
  Value &vector = from.vectors[Offset(offset)];
  if (vector)
    return vector;
  if (from.laneStep > 1)
    return loadStrided(from, Offset(offset));
  if (from.laneStep == 1)
    return vector = loadVector(from.operand->memref, indices(from, offset),
                               c.width, count[c.lane]);
  Value scalar =
      memref::LoadOp::create(b, from.operand->memref, indices(from, offset));
  return vector = vector::BroadcastOp::create(b, vec(c.width), scalar);
}

/// Now that all loops that `operand` depends on have begun.
void ConvolutionEmitter::enter(LoadedOperand &operand) {
  operand.base.clear();
  operand.vectors.clear();
  AffineMap map = operand.operand->map;
  for (unsigned i = 0; i < map.getNumResults(); ++i) {
    OpFoldResult index = affine::makeComposedFoldedAffineApply(
        b, b.getLoc(), map.getSubMap({i}), getAsOpFoldResult(at));
    operand.base.push_back(
        getValueOrCreateConstantIndexOp(b, b.getLoc(), index));
  }
  forEachPoint(box(), [&](ArrayRef<int64_t> point) {
    operand.vectors[operand.operand->offset(point)] = Value();
  });
  // Loaded before the loops that it does not depend on; or else, when needed.
  bool isStationary = operand.level < c.order.size();
  if (isStationary && operand.operand != &c.output)
    for (auto &[offset, vector] : operand.vectors)
      get(operand, offset);
}

/// What the output has at `offset` before the sums: an element where vectors run
/// along a reduction, otherwise a vector.
Value ConvolutionEmitter::firstValue(ArrayRef<int64_t> offset) {
  LoadedOperand &output = operands[2];
  bool isScalar = c.isReduction(c.lane);
  SmallVector<Value> where = indices(output, offset);
  if (!first)
    return isScalar ? memref::LoadOp::create(b, output.operand->memref, where)
                    : get(output, offset);
  Value value = first->getOperand(0);
  bool isWide = false;
  if (isa<MemRefType>(value.getType())) {
    SmallVector<Value> there;
    for (AffineExpr expr : first.getIndexingMapsArray()[0].getResults()) {
      unsigned dim = cast<AffineDimExpr>(expr).getPosition();
      there.push_back(where[dim]);
      isWide |= !isScalar && dim + 1 == where.size();
    }
    value = isWide ? loadVector(value, there, c.width, count[c.lane])
                   : memref::LoadOp::create(b, value, there);
  }
  return isScalar || isWide
             ? value
             : vector::BroadcastOp::create(b, vec(c.width), value);
}

void ConvolutionEmitter::beginSums() {
  sums.clear();
  for (auto &[offset, _] : operands[2].vectors)
    sums[offset] =
        c.isReduction(c.lane)
            ? arith::ConstantOp::create(b, b.getZeroAttr(vec(c.width)))
            : firstValue(offset);
}

/// Stores a sum, an element or a vector, or what the epilogue makes of it.
void ConvolutionEmitter::store(Value sum, ArrayRef<int64_t> offset) {
  Value memref = c.output.memref;
  SmallVector<Value> where = indices(operands[2], offset);
  bool isVector = isa<VectorType>(sum.getType());
  Value valid = isVector && count[c.lane] != c.width
                    ? mask(c.width, count[c.lane])
                    : Value();
  if (product.epilogue)
    emitEpilogue(b, product, sum, where, valid);
  else if (valid)
    vector::MaskedStoreOp::create(b, memref, where, valid, sum);
  else if (isVector)
    vector::StoreOp::create(b, sum, memref, where);
  else
    memref::StoreOp::create(b, sum, memref, where);
}

void ConvolutionEmitter::endSums() {
  for (auto &[offset, sum] : sums) {
    Value total = sum;
    if (c.isReduction(c.lane))
      total = arith::AddFOp::create(b, firstValue(offset),
                                    addLanes(b, b.getLoc(), sum));
    store(total, offset);
  }
}

/// All iterations that are in registers, those with the same input together:
/// then it can be forgotten.
void ConvolutionEmitter::multiplyAdd() {
  SmallVector<SmallVector<int64_t>> points;
  forEachPoint(box(), [&](ArrayRef<int64_t> point) {
    points.push_back(llvm::to_vector(point));
  });
  auto inputOf = [&](ArrayRef<int64_t> point) { return c.input.offset(point); };
  llvm::stable_sort(points, [&](ArrayRef<int64_t> x, ArrayRef<int64_t> y) {
    return inputOf(x) < inputOf(y);
  });
  for (ArrayRef<int64_t> point : points) {
    Value &sum = sums[c.output.offset(point)];
    Value input = get(operands[0], inputOf(point));
    Value filter = get(operands[1], c.filter.offset(point));
    sum = vector::FMAOp::create(b, input, filter, sum);
  }
}

void ConvolutionEmitter::emitIteration(size_t depth, Value position,
                                       int64_t iterations) {
  unsigned loop = c.order[depth];
  at[loop] = position;
  count[loop] = iterations;
  emit(depth + 1);
}

void ConvolutionEmitter::emit(size_t depth) {
  for (LoadedOperand &operand : operands)
    if (operand.level == depth)
      enter(operand);
  if (depth == numParallel)
    beginSums();
  if (depth == c.order.size()) {
    multiplyAdd();
  } else {
    unsigned loop = c.order[depth];
    int64_t step = c.unroll[loop], extent = c.extents[loop];
    int64_t whole = extent / step * step;
    SmallVector<Value> carried;
    if (depth >= numParallel)
      for (auto &[_, sum] : sums)
        carried.push_back(sum);
    auto each = scf::ForOp::create(b, cst(0), cst(whole), cst(step), carried);
    auto setSums = [&](ValueRange values) {
      if (depth >= numParallel)
        for (auto [entry, value] : llvm::zip_equal(sums, values))
          entry.second = value;
    };
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(each.getBody());
      setSums(each.getRegionIterArgs());
      emitIteration(depth, each.getInductionVar(), step);
      if (depth >= numParallel) {
        SmallVector<Value> yielded;
        for (auto &[_, sum] : sums)
          yielded.push_back(sum);
        scf::YieldOp::create(b, yielded);
      }
    }
    setSums(each.getResults());
    if (whole < extent)
      emitIteration(depth, cst(whole), extent - whole);
    count[loop] = step;
  }
  if (depth == numParallel)
    endSums();
}

/// Whether an operand is read through a window: all else is a product or a
/// reduction, for which there are other passes.
static bool hasWindow(linalg::LinalgOp op) {
  return op.hasPureBufferSemantics() &&
         llvm::any_of(op.getIndexingMapsArray(), [](AffineMap map) {
           return llvm::any_of(map.getResults(), [](AffineExpr expr) {
             return !isa<AffineDimExpr, AffineConstantExpr>(expr);
           });
         });
}

/// What gives the output of `op` its first values, if it can be done in registers:
/// a constant, or an operand that is repeated.
static linalg::LinalgOp findRegisterValues(linalg::LinalgOp op) {
  linalg::LinalgOp first = findFirstValues(op);
  if (!first || first.getNumDpsInputs() != 1 ||
      !getElementTypeOrSelf(first->getOperand(0)).isF32())
    return {};
  Block *body = first.getBlock();
  auto type = dyn_cast<MemRefType>(first->getOperand(0).getType());
  bool isCopy = body->getTerminator()->getOperand(0) == body->getArgument(0) &&
                (!type || type.getRank() == 0 || type.isLastDimUnitStride());
  return isCopy && first.getIndexingMapsArray()[0].isProjectedPermutation()
             ? first
             : linalg::LinalgOp();
}

namespace {
struct VectorizeConvolutions
    : plait::impl::TrainVectorizeConvolutionsBase<VectorizeConvolutions> {
  using Base::Base;

  void runOnOperation() override {
    if (registerRows < 1 || registerCols < 4 ||
        !llvm::isPowerOf2_64(registerCols)) {
      getOperation()->emitError("register sizes must be positive, and "
                                "register-cols a power of two");
      return signalPassFailure();
    }
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (hasWindow(op) && op.getNumReductionLoops() > 0)
        ops.push_back(op);
    });
    for (linalg::LinalgOp op : ops) {
      StringRef reason;
      auto conv =
          planDirectConvolution(op, registerCols / 2, 2 * registerRows, reason);
      if (failed(conv)) {
        remark::missed(op.getLoc(),
                       remark::RemarkOpts::name("VectorizeConvolutions")
                           .category("train-vectorize-convolutions"))
            << ("convolution not vectorized: " + reason).str();
        continue;
      }
      OpBuilder b(op);
      linalg::LinalgOp first = findRegisterValues(op);
      linalg::GenericOp epilogue = findEpilogue(op);
      ConvolutionEmitter(b, op.getLoc(), *conv, first, epilogue).emit();
      for (Operation *done :
           {first.getOperation(), op.getOperation(), epilogue.getOperation()})
        if (done)
          done->erase();
    }
  }
};
} // namespace
