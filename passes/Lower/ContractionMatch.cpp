//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whether an op is a contraction that can be lowered, which of its loops are rows,
// lanes, steps and batches, and which dimensions are blocks of one loop.
//
//===----------------------------------------------------------------------===//

#include "../Products.h"
#include "ContractionPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace plait;

bool ContractionOperand::isContiguousAlong(unsigned loop, int64_t width) const {
  if (loops.empty() || loops.back() != loop)
    return false;
  if (llvm::count(loops, loop) > 1 && block % width != 0)
    return false;
  SmallVector<int64_t> strides;
  int64_t offset;
  auto type = cast<MemRefType>(memref.getType());
  return succeeded(type.getStridesAndOffset(strides, offset)) &&
         strides.back() == 1;
}

bool ContractionOperand::isPanelled() const {
  for (auto [dim, loop] : llvm::enumerate(loops))
    if (llvm::is_contained(ArrayRef(loops).drop_front(dim + 1), loop))
      return loops[dim + 1] != loop;
  return false;
}

void Contraction::collapseAcc(Value view) {
  if (acc.memref == view)
    return;
  acc.memref = view;
  acc.loops.erase(llvm::unique(acc.loops), acc.loops.end());
  acc.block = 0;
}

void Contraction::swapRoles() {
  std::swap(rows, lanes);
  std::swap(numRows, numLanes);
  for (ContractionOperand *operand : {&rows, &lanes, &acc})
    for (unsigned &loop : operand->loops)
      if (loop == RowLoop || loop == LaneLoop)
        loop = loop == RowLoop ? LaneLoop : RowLoop;
}

/// Returns true if the body is exactly `acc + lhs * rhs`. Extra operations, a
/// cast for instance, would have to be part of the packing.
static bool isMultiplyAdd(Block &body) {
  if (body.getNumArguments() != 3 || body.getOperations().size() != 3)
    return false;
  auto add = body.getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!add)
    return false;
  bool accFirst = add.getLhs() == body.getArgument(2);
  Value product = accFirst ? add.getRhs() : add.getLhs();
  Value acc = accFirst ? add.getLhs() : add.getRhs();
  auto mul = product.getDefiningOp<arith::MulFOp>();
  if (!mul || acc != body.getArgument(2))
    return false;
  auto lhs = dyn_cast<BlockArgument>(mul.getLhs());
  auto rhs = dyn_cast<BlockArgument>(mul.getRhs());
  return lhs && rhs && lhs != rhs && lhs != acc && rhs != acc;
}

bool plait::isContractionCandidate(linalg::LinalgOp op) {
  return op.getNumDpsInputs() == 2 && op.getNumDpsInits() == 1 &&
         op.getNumReductionLoops() > 0 && isMultiplyAdd(*op.getBlock()) &&
         !(op.getNumParallelLoops() > 0 && readsFactorsOnce(op));
}

/// A contraction of f32 matrices of static shape, whose elements are those of a
/// product's.
static bool isStaticProduct(linalg::LinalgOp op) {
  return isContractionCandidate(op) &&
         llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
           auto type = dyn_cast<ShapedType>(operand.get().getType());
           return type && type.hasStaticShape() &&
                  type.getElementType().isF32() &&
                  op.getMatchingIndexingMap(&operand).isProjectedPermutation();
         });
}

bool plait::isMatrixProduct(linalg::LinalgOp op) {
  return isStaticProduct(op) && op.getNumReductionLoops() == 1 &&
         op.getNumLoops() <= 3;
}

/// Whether loop `loop` indexes a dimension under `map`.
static bool uses(AffineMap map, unsigned loop) {
  return map.isFunctionOfDim(loop);
}

/// Whether `outer` and `inner` index every operand together, `outer` before
/// `inner`, which has the same extent everywhere: they are one loop by blocks.
static bool isBlockOf(ArrayRef<AffineMap> maps, unsigned outer,
                      unsigned inner) {
  return llvm::all_of(maps, [&](AffineMap map) {
    auto positionOf = [&](unsigned loop) {
      return map.getResultPosition(getAffineDimExpr(loop, map.getContext()));
    };
    std::optional<unsigned> first = positionOf(outer),
                            second = positionOf(inner);
    return first.has_value() == second.has_value() &&
           (!first || *first < *second);
  });
}

/// Numbers the loops of `op` by role; the maps are projected permutations. The
/// second loop of a role counts within blocks of the first.
static LogicalResult classifyLoops(ArrayRef<AffineMap> maps,
                                   ArrayRef<int64_t> extents,
                                   Contraction &result,
                                   SmallVectorImpl<unsigned> &roles,
                                   StringRef &reason) {
  SmallVector<std::optional<unsigned>> seen(FirstBatch);
  SmallVector<bool> isDivided(FirstBatch, false);
  for (auto [loop, extent] : llvm::enumerate(extents)) {
    bool a = uses(maps[0], loop), b = uses(maps[1], loop);
    bool c = uses(maps[2], loop);
    if (a && b && c) {
      roles.push_back(FirstBatch + result.batch.size());
      result.batch.push_back(extent);
      continue;
    }
    if (a + b + c != 2) {
      reason = "a loop indexes only one operand";
      return failure();
    }
    unsigned role = !c ? ReductionLoop : a ? RowLoop : LaneLoop;
    bool isBlock = seen[role] && isBlockOf(maps, *seen[role], loop);
    if (seen[role] && (!isBlock || llvm::is_contained(isDivided, true))) {
      reason = "it has more than one m, n or k loop";
      return failure();
    }
    isDivided[role] = isBlock;
    seen[role] = loop;
    roles.push_back(role);
    (role == RowLoop    ? result.numRows
     : role == LaneLoop ? result.numLanes
                        : result.numSteps) *= extent;
  }
  return success();
}

std::optional<SmallVector<ReassociationIndices>>
plait::blocksOfResult(linalg::LinalgOp op) {
  if (!isStaticProduct(op) || op.getNumLoops() != 4)
    return std::nullopt;
  Contraction contraction;
  SmallVector<unsigned> roles;
  StringRef reason;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (failed(classifyLoops(maps, op.getStaticLoopRanges(), contraction, roles,
                           reason)) ||
      !contraction.batch.empty())
    return std::nullopt;
  SmallVector<ReassociationIndices> groups;
  SmallVector<unsigned> seen;
  for (auto [dim, expr] : llvm::enumerate(maps[2].getResults())) {
    unsigned loop = roles[cast<AffineDimExpr>(expr).getPosition()];
    if (seen.empty() || seen.back() != loop) {
      if (llvm::is_contained(seen, loop))
        return std::nullopt;
      groups.emplace_back();
    }
    groups.back().push_back(dim);
    seen.push_back(loop);
  }
  return groups;
}

FailureOr<Contraction> plait::matchContraction(linalg::LinalgOp op,
                                               StringRef &reason) {
  auto fail = [&](StringRef why) {
    reason = why;
    return failure();
  };
  if (!isContractionCandidate(op))
    return fail("it does not multiply two operands and add");
  if (!op.hasPureBufferSemantics())
    return fail("it is not bufferized");
  for (Value operand : op->getOperands()) {
    auto type = cast<MemRefType>(operand.getType());
    if (!type.getElementType().isF32())
      return fail("the element type is not f32");
    if (!type.hasStaticShape())
      return fail("a shape is dynamic");
    if (type.getNumElements() == 0)
      return fail("a dimension is empty");
  }
  // Packed elements are read again after the accumulator has been written.
  if (op->getOperand(0) == op->getOperand(2) ||
      op->getOperand(1) == op->getOperand(2))
    return fail("the accumulator is also an input");

  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (!llvm::all_of(maps,
                    [](AffineMap m) { return m.isProjectedPermutation(); }))
    return fail("an operand access is not a permutation of loops");
  Contraction result;
  SmallVector<unsigned> roles;
  if (failed(
          classifyLoops(maps, op.getStaticLoopRanges(), result, roles, reason)))
    return failure();
  ContractionOperand *operands[] = {&result.rows, &result.lanes, &result.acc};
  for (auto [operand, map, value] :
       llvm::zip_equal(operands, maps, op->getOperands())) {
    operand->memref = value;
    auto type = cast<MemRefType>(value.getType());
    for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
      unsigned role = roles[cast<AffineDimExpr>(expr).getPosition()];
      if (llvm::is_contained(operand->loops, role))
        operand->block = type.getDimSize(dim);
      operand->loops.push_back(role);
    }
  }
  return result;
}
