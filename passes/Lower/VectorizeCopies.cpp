//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Copies with short rows, a vector at a time: the columns of a convolution, its
// padded input, a tensor whose outer dimensions change places. Of a row of 8
// pixels LLVM makes 8 loads, or gathers from 8 rows at once.
//
//===----------------------------------------------------------------------===//

#include "Subscripts.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINVECTORIZECOPIES
#include "plait/Passes.h.inc"
} // namespace plait

/// A row is copied by vectors of this many elements, then by halves of that.
static constexpr int64_t kLanes = 16;
/// Longer rows are loops that LLVM does well with.
static constexpr int64_t kLongestRow = 256;

/// Whether `op` puts each element of its one input somewhere.
static bool isCopy(linalg::GenericOp op) {
  return op.hasPureBufferSemantics() && op.getNumDpsInputs() == 1 &&
         op.getNumDpsInits() == 1 && !op.hasDynamicShape() &&
         op.getNumParallelLoops() == op.getNumLoops() &&
         op.getBody()->getTerminator()->getOperand(0) ==
             op.getBody()->getArgument(0);
}

/// Whether `map` runs through a row from its end to its begin along `loop`.
static bool runsBackward(AffineMap map, unsigned loop) {
  AffineExpr dim = getAffineDimExpr(loop, map.getContext());
  return isUnitStrideAlong(map.replace(dim, -dim, map.getNumDims(), 0), loop);
}

/// Whether `operand` has a vector for consecutive iterations of `loop`; one that
/// is read may have its elements in reverse.
static bool isRow(linalg::GenericOp op, OpOperand &operand, unsigned loop) {
  auto type = dyn_cast<MemRefType>(operand.get().getType());
  // Vectors of i1 are packed, buffers are not.
  return type && type.getElementType().isIntOrFloat() &&
         type.getElementTypeBitWidth() % 8 == 0 && type.isLastDimUnitStride() &&
         (isUnitStrideAlong(op.getMatchingIndexingMap(&operand), loop) ||
          (op.isDpsInput(&operand) &&
           runsBackward(op.getMatchingIndexingMap(&operand), loop)));
}

/// The loop along the rows of both operands.
static std::optional<unsigned> findRowLoop(linalg::GenericOp op) {
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  for (unsigned loop = 0; loop < extents.size(); ++loop)
    if (extents[loop] > 1 && extents[loop] <= kLongestRow &&
        llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
          return isRow(op, operand, loop);
        }))
      return loop;
  return std::nullopt;
}

/// Copies the row through the iteration `loops`, at whose place `row` is zero.
static void copyRow(OpBuilder &b, linalg::GenericOp op, unsigned row,
                    ValueRange loops) {
  Location loc = op.getLoc();
  OpOperand *from = op.getDpsInputOperand(0), *to = op.getDpsInitOperand(0);
  Type element = cast<MemRefType>(to->get().getType()).getElementType();
  int64_t extent = op.getStaticLoopRanges()[row];
  SmallVector<Value> at = llvm::to_vector(loops);
  bool isReverse = runsBackward(op.getMatchingIndexingMap(from), row);
  int64_t width = kLanes;
  for (int64_t done = 0; done < extent; done += width) {
    while (width > extent - done)
      width /= 2;
    // A vector begins with the element that is lowest in memory.
    at[row] = arith::ConstantIndexOp::create(
        b, loc, isReverse ? done + width - 1 : done);
    Value data = vector::LoadOp::create(
        b, loc, VectorType::get(width, element), from->get(),
        subscripts(b, loc, op.getMatchingIndexingMap(from), at));
    if (isReverse) {
      data = vector::ShuffleOp::create(
          b, loc, data, data,
          llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(width))));
      at[row] = arith::ConstantIndexOp::create(b, loc, done);
    }
    vector::StoreOp::create(
        b, loc, data, to->get(),
        subscripts(b, loc, op.getMatchingIndexingMap(to), at));
  }
}

/// Replaces `op` by loops over its rows.
static void vectorizeCopy(linalg::GenericOp op, unsigned row) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  SmallVector<Value> upper;
  for (auto [loop, extent] : llvm::enumerate(op.getStaticLoopRanges()))
    if (loop != row)
      upper.push_back(arith::ConstantIndexOp::create(b, loc, extent));
  SmallVector<Value> lower(upper.size(), zero), step(upper.size(), one);
  scf::buildLoopNest(b, loc, lower, upper, step,
                     [&](OpBuilder &nested, Location, ValueRange outer) {
                       SmallVector<Value> loops(outer);
                       loops.insert(loops.begin() + row, zero);
                       copyRow(nested, op, row, loops);
                     });
  op.erase();
}

namespace {
struct VectorizeCopies
    : plait::impl::TrainVectorizeCopiesBase<VectorizeCopies> {
  void runOnOperation() override {
    getOperation()->walk([](linalg::GenericOp op) {
      if (!isCopy(op))
        return;
      if (std::optional<unsigned> row = findRowLoop(op))
        vectorizeCopy(op, *row);
    });
  }
};
} // namespace
