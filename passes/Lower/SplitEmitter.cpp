//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes a product in parts of its reduction (split-K). Threads divide the
// parts: in the gradient of a layer's input each reads the rows of the weight
// that it replaces in the update. If they divided the lanes, each would read
// half of every row. Where two cores share no cache it would fetch half of the
// weight from the other one's cache, in each step, and the update would fetch
// it back (docs/Performance.md).
//
// Each part is a product of its own, and the parts are added in order. Their
// number depends on the shape alone, so the bits depend neither on the threads
// nor on which lanes are computed together.
//
//===----------------------------------------------------------------------===//

#include "SplitEmitter.h"
#include "AxpyEmitter.h"
#include "ContractionEmitter.h"
#include "Epilogue.h"
#include "Work.h"
#include "Workspace.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace plait;

namespace {
class SplitEmitter {
public:
  SplitEmitter(OpBuilder &builder, Location loc, const Contraction &contraction,
               const ContractionTarget &target, int64_t parts)
      : b(loc, builder), c(contraction), target(target), parts(parts),
        width(std::max<int64_t>(1, target.registerCols / 2)) {
    // Rows are read in whole pages; where there are few parts, more tasks.
    constexpr int64_t kMinLanes = 1024;
    int64_t tiles =
        countTiles(countElements(c.numRows, c.numLanes, c.numSteps));
    int64_t wanted = std::max(kMinLanes, c.numLanes * parts / tiles);
    taskLanes = c.numLanes % wanted == 0 ? wanted : c.numLanes;
  }

  void emitParallel();
  void emitSequential();

private:
  Value cst(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  Value mul(Value x, int64_t y) {
    return b.createOrFold<arith::MulIOp>(x, cst(y));
  }
  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
  VectorType vec() { return VectorType::get({width}, b.getF32Type()); }

  ContractionOperand slice(const ContractionOperand &operand, Value step,
                           Value lane, int64_t lanes);
  ContractionOperand sumsOf(Value part, Value lane, int64_t lanes);
  void emitPart(Value part, Value lane, int64_t lanes, Value sumPart);
  Value load(const ContractionOperand &operand, Value row, Value lane,
             Value mask);
  void store(Value sum, Value row, Value lane, Value mask, bool isLast);
  void eachVector(Value begin, int64_t lanes,
                  function_ref<void(Value, Value)> body);
  void addSums(Value row, int64_t rows, Value begin, int64_t lanes,
               int64_t numSums, bool isFirst, bool isLast);

  ImplicitLocOpBuilder b;
  const Contraction &c;
  const ContractionTarget &target;
  int64_t parts, width, taskLanes;
  Value sums;
};
} // namespace

/// `numSteps / parts` steps from `step` on, and `lanes` lanes from `lane` on.
ContractionOperand SplitEmitter::slice(const ContractionOperand &operand,
                                       Value step, Value lane, int64_t lanes) {
  SmallVector<OpFoldResult> offsets, sizes, strides;
  bool isDivided = llvm::count(operand.loops, ReductionLoop) > 1,
       isInner = false;
  for (unsigned loop : operand.loops) {
    bool isStep = loop == ReductionLoop, isLane = loop == LaneLoop;
    strides.push_back(b.getIndexAttr(1));
    if (isStep && isDivided) { // whole blocks
      Value outer = b.createOrFold<arith::DivUIOp>(step, cst(operand.block));
      offsets.push_back(isInner ? b.getIndexAttr(0) : getAsOpFoldResult(outer));
      sizes.push_back(b.getIndexAttr(
          isInner ? operand.block : c.numSteps / parts / operand.block));
      isInner = true;
      continue;
    }
    offsets.push_back(isStep   ? getAsOpFoldResult(step)
                      : isLane ? getAsOpFoldResult(lane)
                               : b.getIndexAttr(0));
    sizes.push_back(b.getIndexAttr(isStep   ? c.numSteps / parts
                                   : isLane ? lanes
                                            : c.numRows));
  }
  return {memref::SubViewOp::create(b, operand.memref, offsets, sizes, strides),
          operand.loops, operand.block};
}

/// The sums of a part, as an accumulator.
ContractionOperand SplitEmitter::sumsOf(Value part, Value lane, int64_t lanes) {
  auto layout = StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic,
                                       {c.numLanes, 1});
  auto type = MemRefType::get({c.numRows, lanes}, b.getF32Type(), layout);
  OpFoldResult offset =
      getAsOpFoldResult(add(mul(part, c.numRows * c.numLanes), lane));
  if (!isa<Value>(offset))
    offset =
        arith::ConstantOp::create(b, cast<IntegerAttr>(cast<Attribute>(offset)))
            .getResult();
  Value view = memref::ReinterpretCastOp::create(
      b, type, sums, offset, {b.getIndexAttr(c.numRows), b.getIndexAttr(lanes)},
      {b.getIndexAttr(c.numLanes), b.getIndexAttr(1)});
  return {view, {RowLoop, LaneLoop}};
}

void SplitEmitter::emitPart(Value part, Value lane, int64_t lanes,
                            Value sumPart) {
  constexpr int64_t kFewRows = 8;
  Value step = mul(part, c.numSteps / parts);
  Contraction product;
  product.rows = slice(c.rows, step, lane, lanes);
  product.lanes = slice(c.lanes, step, lane, lanes);
  product.acc = sumsOf(sumPart, lane, lanes);
  product.numRows = c.numRows;
  product.numLanes = lanes;
  product.numSteps = c.numSteps / parts;
  product.init = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  if (c.numRows <= kFewRows && !c.lanes.isPanelled())
    emitAxpys(b, b.getLoc(), product, target);
  else {
    ContractionTarget nested = target;
    nested.parallel = false;
    emitContraction(b, b.getLoc(), planContraction(product, nested), nested);
  }
}

Value SplitEmitter::load(const ContractionOperand &operand, Value row,
                         Value lane, Value mask) {
  SmallVector<Value> at =
      llvm::map_to_vector(operand.loops, [&](unsigned loop) {
        return loop == RowLoop ? row : lane;
      });
  if (!mask)
    return vector::LoadOp::create(b, vec(), operand.memref, at);
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(vec()));
  return vector::MaskedLoadOp::create(b, vec(), operand.memref, at, mask,
                                      zeros);
}

void SplitEmitter::store(Value sum, Value row, Value lane, Value mask,
                         bool isLast) {
  SmallVector<Value> at = llvm::map_to_vector(
      c.acc.loops, [&](unsigned loop) { return loop == RowLoop ? row : lane; });
  if (isLast && c.epilogue)
    emitEpilogue(b, c, sum, at, mask);
  else if (mask)
    vector::MaskedStoreOp::create(b, c.acc.memref, at, mask, sum);
  else
    vector::StoreOp::create(b, sum, c.acc.memref, at);
}

/// Calls `body` for each vector of `lanes` lanes, with a mask for the last one
/// where it is not whole.
void SplitEmitter::eachVector(Value begin, int64_t lanes,
                              function_ref<void(Value, Value)> body) {
  int64_t whole = lanes / width * width;
  auto op = scf::ForOp::create(b, begin, add(begin, cst(whole)), cst(width));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.getBody());
    body(op.getInductionVar(), nullptr);
  }
  if (whole < lanes)
    body(add(begin, cst(whole)), vector::CreateMaskOp::create(
                                     b, VectorType::get({width}, b.getI1Type()),
                                     ValueRange{cst(lanes - whole)}));
}

/// Adds the first `numSums` sums, in order, to `rows` rows and `lanes` lanes of
/// the accumulator. `isFirst`: it starts at what a fill would have stored there.
/// `isLast`: nothing is missing then.
void SplitEmitter::addSums(Value firstRow, int64_t rows, Value begin,
                           int64_t lanes, int64_t numSums, bool isFirst,
                           bool isLast) {
  auto loop = scf::ForOp::create(b, firstRow, add(firstRow, cst(rows)), cst(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value row = loop.getInductionVar();
  SmallVector<ContractionOperand> all;
  for (int64_t i = 0; i < numSums; ++i)
    all.push_back(sumsOf(cst(i), cst(0), c.numLanes));
  eachVector(begin, lanes, [&](Value lane, Value mask) {
    Value sum = isFirst && c.init
                    ? vector::BroadcastOp::create(b, vec(), c.init).getResult()
                    : load(c.acc, row, lane, mask);
    for (ContractionOperand &operand : all)
      sum = arith::AddFOp::create(b, sum, load(operand, row, lane, mask));
    store(sum, row, lane, mask, isLast);
  });
}

void SplitEmitter::emitParallel() {
  sums = getWorkspace(b, b.getLoc(), "sums", parts * c.numRows * c.numLanes);
  auto parallel = [&](ArrayRef<int64_t> ends, ArrayRef<int64_t> steps,
                      function_ref<void(ValueRange)> body) {
    auto cstOf = [&](int64_t value) { return cst(value); };
    SmallVector<Value> begins(ends.size(), cst(0));
    auto op =
        scf::ParallelOp::create(b, begins, llvm::map_to_vector(ends, cstOf),
                                llvm::map_to_vector(steps, cstOf));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.getBody());
    body(op.getInductionVars());
  };
  // Parts outside: a thread gets all lanes of its own.
  parallel({parts, c.numLanes}, {1, taskLanes}, [&](ValueRange ivs) {
    emitPart(ivs[0], ivs[1], taskLanes, ivs[0]);
  });
  // Waking threads for less takes longer.
  constexpr int64_t kMinParallel = 1 << 16;
  constexpr int64_t kParts = 16;
  auto addAll = [&](Value row, int64_t rows, Value lane, int64_t lanes) {
    addSums(row, rows, lane, lanes, parts, /*isFirst=*/true, /*isLast=*/true);
  };
  if (parts * c.numRows * c.numLanes < kMinParallel)
    return addAll(cst(0), c.numRows, cst(0), c.numLanes);
  // Whole rows where there are as many: an epilogue reads and writes several.
  int64_t rows = c.numRows / kParts, lanes = c.numLanes / kParts;
  if (c.numRows % kParts == 0)
    parallel({c.numRows}, {rows},
             [&](ValueRange ivs) { addAll(ivs[0], rows, cst(0), c.numLanes); });
  else if (c.numLanes % kParts == 0)
    parallel({c.numLanes}, {lanes},
             [&](ValueRange ivs) { addAll(cst(0), c.numRows, ivs[0], lanes); });
  else
    addAll(cst(0), c.numRows, cst(0), c.numLanes);
}

/// One part after the other, in the same order, with the sums of one.
void SplitEmitter::emitSequential() {
  sums = getWorkspace(b, b.getLoc(), "sums", c.numRows * c.numLanes);
  auto emit = [&](Value part, bool isFirst) {
    emitPart(part, cst(0), c.numLanes, cst(0));
    addSums(cst(0), c.numRows, cst(0), c.numLanes, 1, isFirst,
            /*isLast=*/false);
  };
  emit(cst(0), /*isFirst=*/true);
  auto loop = scf::ForOp::create(b, cst(1), cst(parts), cst(1));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    emit(loop.getInductionVar(), /*isFirst=*/false);
  }
  if (!c.epilogue)
    return;
  SmallVector<Value> begins(c.acc.loops.size(), cst(0)), ends;
  for (unsigned loop : c.acc.loops)
    ends.push_back(cst(loop == RowLoop ? c.numRows : c.numLanes));
  emitEpilogue(b, c, begins, ends, width);
}

void plait::emitSplit(OpBuilder &builder, Location loc, Contraction contraction,
                      const ContractionTarget &target, int64_t parts,
                      bool isNested) {
  // A panel may have fewer lanes than rows: how the sum lies decides.
  if (contraction.acc.loops.back() != LaneLoop)
    contraction.swapRoles();
  SplitEmitter emitter(builder, loc, contraction, target, parts);
  if (target.parallel && !isNested)
    emitter.emitParallel();
  else
    emitter.emitSequential();
}
