//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes a product with few rows, such as that of one sample's gradient and a
// weight, as sums of the weight's rows (axpy: y += a x). The weight is read
// once, in long runs, as it lies; the sums go through the first cache.
//
//===----------------------------------------------------------------------===//

#include "AxpyEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace plait;

namespace {
class AxpyEmitter {
public:
  AxpyEmitter(OpBuilder &builder, Location loc, const Contraction &contraction,
              const ContractionTarget &target)
      : b(loc, builder), c(contraction),
        width(std::max<int64_t>(1, target.registerCols / 2)),
        stepsAtATime(std::clamp<int64_t>(16 / c.numRows, 2, 8)),
        blockLanes(llvm::alignTo(4096 / c.numRows, width)) {}

  void emit();

private:
  Value cst(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  Value add(Value x, int64_t y) {
    return y ? b.createOrFold<arith::AddIOp>(x, cst(y)) : x;
  }
  VectorType vec() { return VectorType::get({width}, b.getF32Type()); }
  template <typename Body>
  void loop(Value begin, Value end, int64_t step, Body body);
  template <typename Body> void eachVector(Value begin, Body body);

  SmallVector<Value> indices(const ContractionOperand &operand, Value row,
                             Value lane, Value step);
  Value load(const ContractionOperand &operand, Value row, Value lane,
             Value step, Value mask);
  void storeAcc(Value sum, Value row, Value lane, Value mask);
  void addSteps(Value step, int64_t steps, Value lane);

  ImplicitLocOpBuilder b;
  const Contraction &c;
  /// Lanes of a vector; steps whose factors stay in registers; lanes whose sums
  /// stay in the first cache.
  int64_t width, stepsAtATime, blockLanes;
};
} // namespace

template <typename Body>
void AxpyEmitter::loop(Value begin, Value end, int64_t step, Body body) {
  auto op = scf::ForOp::create(b, begin, end, cst(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  body(op.getInductionVar());
}

/// Calls `body` for each vector of the block of lanes from `begin` on, with a
/// mask for one that is not whole.
template <typename Body> void AxpyEmitter::eachVector(Value begin, Body body) {
  int64_t whole = c.numLanes / width * width;
  Value end =
      b.createOrFold<arith::MinSIOp>(add(begin, blockLanes), cst(whole));
  loop(begin, end, width, [&](Value lane) { body(lane, Value()); });
  if (whole == c.numLanes)
    return;
  Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::sge,
                                       add(begin, blockLanes), cst(c.numLanes));
  auto ifOp = scf::IfOp::create(b, isLast);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  body(cst(whole),
       vector::CreateMaskOp::create(b, VectorType::get({width}, b.getI1Type()),
                                    ValueRange{cst(c.numLanes - whole)}));
}

SmallVector<Value> AxpyEmitter::indices(const ContractionOperand &operand,
                                        Value row, Value lane, Value step) {
  return llvm::map_to_vector(operand.loops, [&](unsigned loop) {
    return loop == RowLoop ? row : loop == LaneLoop ? lane : step;
  });
}

/// A vector along the lanes.
Value AxpyEmitter::load(const ContractionOperand &operand, Value row,
                        Value lane, Value step, Value mask) {
  SmallVector<Value> at = indices(operand, row, lane, step);
  if (!mask)
    return vector::LoadOp::create(b, vec(), operand.memref, at);
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(vec()));
  return vector::MaskedLoadOp::create(b, vec(), operand.memref, at, mask,
                                      zeros);
}

void AxpyEmitter::storeAcc(Value sum, Value row, Value lane, Value mask) {
  SmallVector<Value> at = indices(c.acc, row, lane, nullptr);
  if (mask)
    vector::MaskedStoreOp::create(b, c.acc.memref, at, mask, sum);
  else
    vector::StoreOp::create(b, sum, c.acc.memref, at);
}

/// Adds the products of a few steps to the block of lanes at `lane`.
void AxpyEmitter::addSteps(Value step, int64_t steps, Value lane) {
  SmallVector<Value> factors;
  for (int64_t s = 0; s < steps; ++s)
    for (int64_t i = 0; i < c.numRows; ++i) {
      Value x = memref::LoadOp::create(
          b, c.rows.memref, indices(c.rows, cst(i), nullptr, add(step, s)));
      factors.push_back(vector::BroadcastOp::create(b, vec(), x));
    }
  eachVector(lane, [&](Value lane, Value mask) {
    SmallVector<Value> sums;
    for (int64_t i = 0; i < c.numRows; ++i)
      sums.push_back(load(c.acc, cst(i), lane, nullptr, mask));
    for (int64_t s = 0; s < steps; ++s) {
      Value x = load(c.lanes, nullptr, lane, add(step, s), mask);
      for (int64_t i = 0; i < c.numRows; ++i)
        sums[i] =
            vector::FMAOp::create(b, factors[s * c.numRows + i], x, sums[i]);
    }
    for (int64_t i = 0; i < c.numRows; ++i)
      storeAcc(sums[i], cst(i), lane, mask);
  });
}

void AxpyEmitter::emit() {
  loop(cst(0), cst(c.numLanes), blockLanes, [&](Value lane) {
    if (c.init) {
      Value start = vector::BroadcastOp::create(b, vec(), c.init);
      for (int64_t i = 0; i < c.numRows; ++i)
        eachVector(lane, [&](Value j, Value mask) {
          storeAcc(start, cst(i), j, mask);
        });
    }
    int64_t whole = c.numSteps / stepsAtATime * stepsAtATime;
    loop(cst(0), cst(whole), stepsAtATime,
         [&](Value step) { addSteps(step, stepsAtATime, lane); });
    if (whole < c.numSteps)
      addSteps(cst(whole), c.numSteps - whole, lane);
  });
}

void plait::emitAxpys(OpBuilder &builder, Location loc,
                      const Contraction &contraction,
                      const ContractionTarget &target) {
  AxpyEmitter(builder, loc, contraction, target).emit();
}
