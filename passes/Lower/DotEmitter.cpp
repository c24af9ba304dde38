//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes a product with few rows, such as that of a weight and one sample, as
// dot products: both operands are read once, along k, where they lie. Register
// tiles would have to transpose the weight first, for too little use.
//
// Element j of a vector sums every W-th product from the j-th on, and the
// vector's halves are added until one element is left. That order depends on k
// and the width alone, so a panel of rows has the bits of the whole product.
//
//===----------------------------------------------------------------------===//

#include "DotEmitter.h"
#include "Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace plait;

namespace {
class DotEmitter {
public:
  DotEmitter(OpBuilder &builder, Location loc, const Contraction &contraction,
             const ContractionTarget &target)
      : b(loc, builder), c(contraction),
        width(std::max<int64_t>(2, target.registerCols / 2)),
        // As many sums at a time as keep the fma units busy.
        tileRows(
            std::clamp<int64_t>(2 * target.registerRows / c.numLanes, 1, 8)) {}

  void emit(bool isParallel);

private:
  Value cst(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  Value add(Value x, int64_t y) {
    return y ? b.createOrFold<arith::AddIOp>(x, cst(y)) : x;
  }
  VectorType vec(int64_t size) {
    return VectorType::get({size}, b.getF32Type());
  }
  SmallVector<Value> indices(const ContractionOperand &operand, Value row,
                             Value lane, Value step);
  Value load(const ContractionOperand &operand, Value row, Value lane,
             Value step, Value mask);
  SmallVector<Value> addProducts(Value row, int64_t rows, Value step,
                                 ValueRange sums, Value mask);
  void emitRows(Value row, int64_t rows);
  void emitRange(Value begin, Value end);

  ImplicitLocOpBuilder b;
  const Contraction &c;
  int64_t width, tileRows;
};
} // namespace

SmallVector<Value> DotEmitter::indices(const ContractionOperand &operand,
                                       Value row, Value lane, Value step) {
  return llvm::map_to_vector(operand.loops, [&](unsigned loop) {
    return loop == RowLoop ? row : loop == LaneLoop ? lane : step;
  });
}

/// A vector along k; with a mask, its last elements are zero.
Value DotEmitter::load(const ContractionOperand &operand, Value row, Value lane,
                       Value step, Value mask) {
  SmallVector<Value> at = indices(operand, row, lane, step);
  if (!mask)
    return vector::LoadOp::create(b, vec(width), operand.memref, at);
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(vec(width)));
  return vector::MaskedLoadOp::create(b, vec(width), operand.memref, at, mask,
                                      zeros);
}

/// `sums` of `rows` rows and all lanes, with the next products added.
SmallVector<Value> DotEmitter::addProducts(Value row, int64_t rows, Value step,
                                           ValueRange sums, Value mask) {
  SmallVector<Value> lanes, next(sums);
  for (int64_t j = 0; j < c.numLanes; ++j)
    lanes.push_back(load(c.lanes, nullptr, cst(j), step, mask));
  for (int64_t i = 0; i < rows; ++i) {
    Value x = load(c.rows, add(row, i), nullptr, step, mask);
    for (int64_t j = 0; j < c.numLanes; ++j) {
      Value &sum = next[i * c.numLanes + j];
      sum = vector::FMAOp::create(b, x, lanes[j], sum);
    }
  }
  return next;
}

void DotEmitter::emitRows(Value row, int64_t rows) {
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(vec(width)));
  SmallVector<Value> sums(rows * c.numLanes, zero);
  int64_t whole = c.numSteps / width * width;
  if (whole > 0) {
    auto loop = scf::ForOp::create(b, cst(0), cst(whole), cst(width), sums);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(b, addProducts(row, rows, loop.getInductionVar(),
                                        loop.getRegionIterArgs(), nullptr));
    sums.assign(loop.getResults().begin(), loop.getResults().end());
  }
  if (whole < c.numSteps) {
    Value mask =
        vector::CreateMaskOp::create(b, VectorType::get({width}, b.getI1Type()),
                                     ValueRange{cst(c.numSteps - whole)});
    sums = addProducts(row, rows, cst(whole), sums, mask);
  }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < c.numLanes; ++j) {
      SmallVector<Value> at = indices(c.acc, add(row, i), cst(j), nullptr);
      Value start =
          c.init ? c.init : memref::LoadOp::create(b, c.acc.memref, at);
      Value total = arith::AddFOp::create(
          b, start, addLanes(b, b.getLoc(), sums[i * c.numLanes + j]));
      memref::StoreOp::create(b, total, c.acc.memref, at);
    }
}

/// All rows from `begin` to `end`: tiles, and what is left one by one.
void DotEmitter::emitRange(Value begin, Value end) {
  auto loop = [&](Value begin, Value end, int64_t rows) {
    auto op = scf::ForOp::create(b, begin, end, cst(rows));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.getBody());
    emitRows(op.getInductionVar(), rows);
  };
  Value size = b.createOrFold<arith::SubIOp>(end, begin);
  Value rest = b.createOrFold<arith::RemUIOp>(size, cst(tileRows));
  Value tiled = b.createOrFold<arith::SubIOp>(end, rest);
  loop(begin, tiled, tileRows);
  if (c.numRows % tileRows != 0)
    loop(tiled, end, 1);
}

void DotEmitter::emit(bool isParallel) {
  if (!isParallel)
    return emitRange(cst(0), cst(c.numRows));
  // A fixed number of parts, whatever the number of threads.
  constexpr int64_t kParts = 32;
  int64_t size = llvm::alignTo(llvm::divideCeil(c.numRows, kParts), tileRows);
  auto parallel = scf::ParallelOp::create(
      b, ValueRange{cst(0)}, ValueRange{cst(c.numRows)}, ValueRange{cst(size)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(parallel.getBody());
  Value begin = parallel.getInductionVars().front();
  Value end = b.createOrFold<arith::MinSIOp>(add(begin, size), cst(c.numRows));
  emitRange(begin, end);
}

void plait::emitDots(OpBuilder &builder, Location loc, Contraction contraction,
                     const ContractionTarget &target, bool isNested) {
  if (contraction.numLanes > contraction.numRows)
    contraction.swapRoles();
  // About 10 us of work, as for other products, but of reading.
  constexpr int64_t kMinElements = 1 << 17;
  bool isLarge = contraction.numRows * contraction.numSteps >= kMinElements;
  DotEmitter(builder, loc, contraction, target)
      .emit(target.parallel && isLarge && !isNested);
}
