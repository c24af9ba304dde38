//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reductions along the innermost loop, in lanes. LLVM may not reorder sums, so
// it adds one element per latency of an addition. Here the order is chosen, and
// it is the same for every processor, schedule and number of threads: lane i
// reduces elements i, i + 32, i + 64, ..., and the lanes are halved until one is
// left.
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"
#include "Subscripts.h"

#include "plait/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINVECTORIZEREDUCTIONS
#include "plait/Passes.h.inc"
} // namespace plait

/// Two vectors of AVX-512, four of AVX2: enough chains to hide the latency.
static constexpr int64_t kLanes = 32;

//===----------------------------------------------------------------------===//
// Which
//===----------------------------------------------------------------------===//

static bool isVectorElement(Type type) {
  return type.isF32() || type.isF64() || type.isInteger(32) ||
         type.isInteger(64);
}

/// What is reduced into output `index`, by an op that has a neutral element.
static Operation *matchCombiner(linalg::GenericOp op, unsigned index) {
  SmallVector<Operation *> combiners;
  BlockArgument acc = op.getRegionOutputArgs()[index];
  if (!acc.hasOneUse() ||
      !matchReduction(op.getRegionOutputArgs(), index, combiners) ||
      combiners.size() != 1 || *acc.user_begin() != combiners.front() ||
      !arith::getNeutralElement(combiners.front()))
    return nullptr;
  return combiners.front();
}

/// Whether `operand` has a vector for consecutive iterations of `loop`, or one
/// value for all.
static bool isLaneOrUniform(linalg::GenericOp op, OpOperand &operand,
                            unsigned loop) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  auto type = dyn_cast<MemRefType>(operand.get().getType());
  if (!type)
    return false;
  // Bits are no vector in memory, but one of them may be for all, or the result:
  // whether all of a row is masked, beside its maximum.
  Type element = type.getElementType();
  if (!map.isFunctionOfDim(loop))
    return isVectorElement(element) || element.isInteger(1);
  if (!isVectorElement(element))
    return false;
  return isUnitStrideAlong(map, loop) && type.isLastDimUnitStride();
}

static bool isVectorizable(linalg::GenericOp op) {
  unsigned loops = op.getNumLoops();
  if (loops == 0 || op.hasIndexSemantics())
    return false;
  unsigned lane = loops - 1;
  if (op.getIteratorTypesArray()[lane] != utils::IteratorType::reduction ||
      op.getStaticLoopRanges()[lane] < kLanes ||
      llvm::any_of(op.getStaticLoopRanges(), ShapedType::isDynamic))
    return false;
  for (OpOperand &operand : op->getOpOperands())
    if (!isLaneOrUniform(op, operand, lane))
      return false;
  for (OpOperand &init : op.getDpsInitsMutable())
    if (op.getMatchingIndexingMap(&init).isFunctionOfDim(lane) ||
        !matchCombiner(op, init.getOperandNumber() - op.getNumDpsInputs()))
      return false;
  return llvm::all_of(op.getBody()->without_terminator(), [](Operation &inner) {
    // LLVM's powi has one exponent for all lanes.
    if (isa<math::FPowIOp>(inner))
      return false;
    return OpTrait::hasElementwiseMappableTraits(&inner) ||
           isa<arith::ConstantOp>(inner);
  });
}

//===----------------------------------------------------------------------===//
// How
//===----------------------------------------------------------------------===//

namespace {
/// Replaces one reduction.
class ReductionEmitter {
public:
  ReductionEmitter(OpBuilder &b, linalg::GenericOp op)
      : b(b), loc(op.getLoc()), op(op), lane(op.getNumLoops() - 1) {
    for (int64_t i = 0, e = op.getNumDpsInits(); i < e; ++i)
      combiners.push_back(matchCombiner(op, i));
  }
  void emit();

private:
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  /// What one vector of iterations adds to `accs`. Of the last vector, `count`
  /// lanes are elements.
  SmallVector<Value> reduceLanes(ValueRange loops, ValueRange accs,
                                 int64_t count);
  Value toLanes(Value scalar);
  Value cloneOnLanes(IRMapping &map, Value value);
  Value combine(Operation *combiner, Value lhs, Value rhs);
  void emitPoint(ValueRange outer);

  OpBuilder &b;
  Location loc;
  linalg::GenericOp op;
  unsigned lane;
  SmallVector<Operation *> combiners;
};
} // namespace

Value ReductionEmitter::toLanes(Value scalar) {
  if (isa<VectorType>(scalar.getType()))
    return scalar;
  return vector::BroadcastOp::create(
      b, loc, VectorType::get(kLanes, scalar.getType()), scalar);
}

Value ReductionEmitter::combine(Operation *combiner, Value lhs, Value rhs) {
  OperationState state(loc, combiner->getName(), {lhs, rhs}, {lhs.getType()},
                       combiner->getAttrs());
  return b.create(state)->getResult(0);
}

/// `value` of the body, in lanes.
Value ReductionEmitter::cloneOnLanes(IRMapping &map, Value value) {
  if (Value known = map.lookupOrNull(value))
    return known;
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != op.getBody()) {
    map.map(value, toLanes(value));
    return map.lookup(value);
  }
  if (isa<arith::ConstantOp>(def)) {
    map.map(value, toLanes(b.clone(*def)->getResult(0)));
    return map.lookup(value);
  }
  SmallVector<Value> operands;
  for (Value operand : def->getOperands())
    operands.push_back(cloneOnLanes(map, operand));
  SmallVector<Type> types;
  for (Type type : def->getResultTypes())
    types.push_back(VectorType::get(kLanes, type));
  OperationState state(loc, def->getName(), operands, types, def->getAttrs());
  map.map(def->getResults(), b.create(state)->getResults());
  return map.lookup(value);
}

SmallVector<Value> ReductionEmitter::reduceLanes(ValueRange loops,
                                                 ValueRange accs,
                                                 int64_t count) {
  IRMapping map;
  Value mask;
  if (count < kLanes)
    mask = vector::ConstantMaskOp::create(
        b, loc, VectorType::get(kLanes, b.getI1Type()), ArrayRef{count});
  for (OpOperand *input : op.getDpsInputOperands()) {
    SmallVector<Value> at =
        subscripts(b, loc, op.getMatchingIndexingMap(input), loops);
    Type element = cast<MemRefType>(input->get().getType()).getElementType();
    auto type = VectorType::get(kLanes, element);
    Value loaded;
    if (!op.getMatchingIndexingMap(input).isFunctionOfDim(lane)) {
      loaded = toLanes(memref::LoadOp::create(b, loc, input->get(), at));
    } else if (!mask) {
      loaded = vector::LoadOp::create(b, loc, type, input->get(), at);
    } else {
      Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
      loaded = vector::MaskedLoadOp::create(b, loc, type, input->get(), at,
                                            mask, zero);
    }
    map.map(op.getMatchingBlockArgument(input), loaded);
  }
  SmallVector<Value> results;
  for (auto [index, combiner] : llvm::enumerate(combiners)) {
    Value acc = op.getRegionOutputArgs()[index];
    Value reduced = combiner->getOperand(combiner->getOperand(0) == acc);
    Value lanes = cloneOnLanes(map, reduced);
    // Lanes beyond the end must not count, whatever the body made of them.
    if (mask)
      lanes = arith::SelectOp::create(
          b, loc, mask, lanes,
          toLanes(arith::ConstantOp::create(
              b, loc, *arith::getNeutralElement(combiner))));
    results.push_back(combine(combiner, accs[index], lanes));
  }
  return results;
}

void ReductionEmitter::emitPoint(ValueRange outer) {
  int64_t extent = op.getStaticLoopRanges()[lane];
  SmallVector<Value> accs;
  for (Operation *combiner : combiners)
    accs.push_back(toLanes(arith::ConstantOp::create(
        b, loc, *arith::getNeutralElement(combiner))));
  auto at = [&](Value position) {
    SmallVector<Value> loops = llvm::to_vector(outer);
    loops.push_back(position);
    return loops;
  };
  int64_t whole = extent - extent % kLanes;
  auto loop = scf::ForOp::create(
      b, loc, constant(0), constant(whole), constant(kLanes), accs,
      [&](OpBuilder &nested, Location, Value position, ValueRange accs) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(nested.saveInsertionPoint());
        scf::YieldOp::create(b, loc, reduceLanes(at(position), accs, kLanes));
      });
  accs = loop.getResults();
  if (whole < extent)
    accs = reduceLanes(at(constant(whole)), accs, extent - whole);
  for (auto [index, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    SmallVector<Value> where =
        subscripts(b, loc, op.getMatchingIndexingMap(&init), at(constant(0)));
    Value old = memref::LoadOp::create(b, loc, init.get(), where);
    Value sum = halveLanes(b, loc, accs[index], [&](Value low, Value high) {
      return combine(combiners[index], low, high);
    });
    memref::StoreOp::create(b, loc, combine(combiners[index], old, sum),
                            init.get(), where);
  }
}

void ReductionEmitter::emit() {
  SmallVector<Value> lower, upper, step;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  for (int64_t extent : ArrayRef(extents).drop_back()) {
    lower.push_back(constant(0));
    upper.push_back(constant(extent));
    step.push_back(constant(1));
  }
  scf::buildLoopNest(b, loc, lower, upper, step,
                     [&](OpBuilder &nested, Location, ValueRange outer) {
                       OpBuilder::InsertionGuard guard(b);
                       b.restoreInsertionPoint(nested.saveInsertionPoint());
                       emitPoint(outer);
                     });
}

namespace {
struct VectorizeReductions
    : plait::impl::TrainVectorizeReductionsBase<VectorizeReductions> {
  void runOnOperation() override {
    SmallVector<linalg::GenericOp> ops;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (op.hasPureBufferSemantics() && isVectorizable(op))
        ops.push_back(op);
    });
    for (linalg::GenericOp op : ops) {
      OpBuilder b(op);
      ReductionEmitter(b, op).emit();
      op.erase();
    }
  }
};
} // namespace
