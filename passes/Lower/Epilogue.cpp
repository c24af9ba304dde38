//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the body of an elementwise op on vectors. Each element goes through the
// same operations in the same order as in a loop over elements, none of which may
// be contracted; functions are taken apart into arithmetic later, on vectors as on
// scalars. So fusing changes no bit.
//
//===----------------------------------------------------------------------===//

#include "Epilogue.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace plait;

//===----------------------------------------------------------------------===//
// Which
//===----------------------------------------------------------------------===//

/// Arithmetic that LLVM does on vectors, and functions that
/// train-approximate-math makes such. What would be a call of the C library for
/// each element is better off in a loop of its own.
static bool isVectorOp(Operation &op) {
  if (op.getNumRegions() || op.getNumResults() != 1)
    return false;
  Type type = op.getResult(0).getType();
  if (isa<math::ExpOp, math::LogOp, math::TanhOp, math::ErfOp, math::Log1pOp,
          math::ExpM1Op, math::AbsFOp, math::SqrtOp, math::CopySignOp,
          math::FmaOp>(op))
    return type.isF32();
  if (!isa<arith::ArithDialect>(op.getDialect()))
    return false;
  return isa<arith::ConstantOp>(op) ||
         (OpTrait::hasElementwiseMappableTraits(&op) && !type.isF16() &&
          !type.isBF16());
}

/// Dimensions in the order of the loops: no transpose.
static bool isInOrder(AffineMap map) {
  if (!map.isProjectedPermutation())
    return false;
  int64_t last = -1;
  for (AffineExpr expr : map.getResults()) {
    int64_t dim = cast<AffineDimExpr>(expr).getPosition();
    if (dim < last)
      return false;
    last = dim;
  }
  return true;
}

bool plait::isEpilogueBody(linalg::GenericOp op) {
  if (op.getNumParallelLoops() != op.getNumLoops() || op.hasDynamicShape())
    return false;
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (!getElementTypeOrSelf(operand.get()).isF32() || !isInOrder(map) ||
        (op.isDpsInit(&operand) && !map.isIdentity()))
      return false;
    // Operands are told apart by their values.
    for (OpOperand &other : op->getOpOperands())
      if (other.get() == operand.get() &&
          op.getMatchingIndexingMap(&other) != map)
        return false;
  }
  return llvm::all_of(op.getBody()->without_terminator(), isVectorOp);
}

Value plait::findSums(linalg::GenericOp op, linalg::LinalgOp product) {
  Value acc = product.getDpsInits()[0];
  for (OpOperand &operand : op->getOpOperands()) {
    auto view = operand.get().getDefiningOp<memref::CollapseShapeOp>();
    bool isMatrix = view && view.getSrc() == acc &&
                    view.getReassociationIndices() == blocksOfResult(product);
    if ((operand.get() == acc || isMatrix) &&
        op.getMatchingIndexingMap(&operand).isIdentity())
      return operand.get();
  }
  return {};
}

linalg::GenericOp plait::findEpilogue(linalg::LinalgOp product) {
  for (Operation *next = product->getNextNode(); next;
       next = next->getNextNode()) {
    if (isMemoryEffectFree(next))
      continue;
    auto op = dyn_cast<linalg::GenericOp>(next);
    bool isEpilogue = op && op->hasAttr(kEpilogueAttr) && findSums(op, product);
    return isEpilogue ? op : linalg::GenericOp();
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
/// Elements, or vectors of neighbours along the last of the dimensions.
class Emitter {
public:
  Emitter(ImplicitLocOpBuilder &b, const Contraction &product, Value sums,
          ValueRange at, Value mask)
      : b(b), c(product), op(product.epilogue), sums(sums), at(at), mask(mask),
        vector(dyn_cast<VectorType>(sums.getType())) {}

  void emit();

private:
  /// `type`, or a vector of it.
  Type widen(Type type) { return vector ? Type(vector.clone(type)) : type; }
  Value broadcast(Value value) {
    Type type = widen(value.getType());
    if (isa<VectorType>(value.getType()) || type == value.getType())
      return value;
    return vector::BroadcastOp::create(b, type, value);
  }
  Value load(OpOperand &operand);
  void store(Value value, Value memref);
  void emitBody(IRMapping &values);

  ImplicitLocOpBuilder &b;
  const Contraction &c;
  linalg::GenericOp op;
  Value sums;
  ValueRange at;
  Value mask;
  VectorType vector;
};
} // namespace

/// What the body gets for `operand`: a scalar where it is the same for all
/// elements of a vector.
Value Emitter::load(OpOperand &operand) {
  Value memref = operand.get();
  if (memref == c.acc.memref)
    return sums;
  if (!isa<MemRefType>(memref.getType()))
    return memref;
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<Value> indices;
  bool isWide = false;
  for (AffineExpr expr : map.getResults()) {
    unsigned dim = cast<AffineDimExpr>(expr).getPosition();
    indices.push_back(at[dim]);
    isWide |= vector && dim + 1 == at.size();
  }
  if (!isWide)
    return memref::LoadOp::create(b, memref, indices);
  if (!mask)
    return vector::LoadOp::create(b, vector, memref, indices);
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(vector));
  return vector::MaskedLoadOp::create(b, vector, memref, indices, mask, zeros);
}

void Emitter::store(Value value, Value memref) {
  if (!vector)
    memref::StoreOp::create(b, value, memref, at);
  else if (mask)
    vector::MaskedStoreOp::create(b, memref, at, mask, broadcast(value));
  else
    vector::StoreOp::create(b, broadcast(value), memref, at);
}

void Emitter::emitBody(IRMapping &values) {
  for (Operation &inner : op.getBody()->without_terminator()) {
    bool isWide = llvm::any_of(inner.getOperands(), [&](Value operand) {
      return isa<VectorType>(values.lookupOrDefault(operand).getType());
    });
    Operation *clone = b.clone(inner, values);
    if (!isWide)
      continue;
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(clone);
    for (OpOperand &operand : clone->getOpOperands())
      operand.set(broadcast(operand.get()));
    Value result = clone->getResult(0);
    result.setType(widen(result.getType()));
  }
}

void Emitter::emit() {
  IRMapping values;
  for (OpOperand &operand : op->getOpOperands())
    if (op.payloadUsesValueFromOperand(&operand))
      values.map(op.getMatchingBlockArgument(&operand), load(operand));
  emitBody(values);
  if (!llvm::is_contained(op.getDpsInits(), c.acc.memref))
    store(sums, c.acc.memref);
  for (auto [init, value] : llvm::zip_equal(
           op.getDpsInits(), op.getBody()->getTerminator()->getOperands()))
    store(values.lookupOrDefault(value), init);
}

void plait::emitEpilogue(ImplicitLocOpBuilder &b, const Contraction &product,
                         Value sums, ValueRange at, Value mask) {
  Emitter(b, product, sums, at, mask).emit();
}

void plait::emitEpilogue(ImplicitLocOpBuilder &b, const Contraction &product,
                         ValueRange begins, ValueRange ends, int64_t width) {
  auto cst = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, value);
  };
  OpBuilder::InsertionGuard guard(b);
  SmallVector<Value> at;
  if (begins.empty()) { // the product of two vectors
    Value sum = memref::LoadOp::create(b, product.acc.memref, at);
    return emitEpilogue(b, product, sum, at);
  }
  for (auto [begin, end] : llvm::zip_equal(begins, ends)) {
    int64_t step = at.size() + 1 == begins.size() ? width : 1;
    auto loop = scf::ForOp::create(b, begin, end, cst(step));
    b.setInsertionPointToStart(loop.getBody());
    at.push_back(loop.getInductionVar());
  }
  auto type = VectorType::get({width}, b.getF32Type());
  Value rest = arith::SubIOp::create(b, ends.back(), at.back());
  Value mask = vector::CreateMaskOp::create(
      b, VectorType::get({width}, b.getI1Type()), ValueRange{rest});
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(type));
  Value sums = vector::MaskedLoadOp::create(b, type, product.acc.memref, at,
                                            mask, zeros);
  emitEpilogue(b, product, sums, at, mask);
}
