//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loops for one stage of an attention. Matrices run in parallel. Where nothing is
// added up over rows, so do blocks of rows; else a matrix's blocks are one after
// the other, and each adds to what the last one left: the sums are those of the
// whole product, in the same order.
//
// The last block may have fewer rows. It has ops of its own, so that all shapes
// are static.
//
//===----------------------------------------------------------------------===//

#include "TileReuse.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"

using namespace mlir;
using namespace plait;

namespace {
/// Part of a tensor; strides are 1.
struct Slice {
  SmallVector<OpFoldResult> offsets, sizes, strides;
};

/// Some rows of one matrix.
struct Rows {
  OpFoldResult matrix, first;
  int64_t count;
};

class Emitter {
public:
  Emitter(RewriterBase &b, const Attention &attention,
          const AttentionStage &stage, int64_t blockRows);
  void emit(MutableArrayRef<Value> outs);

private:
  OpFoldResult index(int64_t value) { return b.getIndexAttr(value); }
  OpFoldResult firstRow(Value block);
  OpFoldResult batchIndex(OpFoldResult matrix, Axis axis, int64_t extent);
  Slice sliceOf(ArrayRef<Axis> axes, ArrayRef<int64_t> shape, const Rows &rows);
  Slice matrixOf(OpResult result, OpFoldResult matrix);
  Slice rowsInMatrix(OpResult result, const Rows &rows);
  RankedTensorType tileType(ArrayRef<Axis> axes, RankedTensorType type,
                            int64_t rows);
  Value getTile(linalg::LinalgOp op, OpOperand &operand, const Rows &rows);
  Value getInit(linalg::LinalgOp op, OpOperand &init, const Rows &rows,
                Value out);
  void emitOp(Operation *op, const Rows &rows, ArrayRef<Value> outs);
  Value findOut(OpResult result, ArrayRef<Value> outs);
  void emitReshape(Operation *op, const Rows &rows);
  SmallVector<Value> emitBlock(const Rows &rows, ArrayRef<Value> outs);
  void emitParallel(MutableArrayRef<Value> outs);
  void emitSums(MutableArrayRef<Value> outs);
  SmallVector<Value> addBlock(const Rows &rows, ValueRange outs);
  void insert(ArrayRef<Value> tiles, ArrayRef<Slice> slices, ValueRange outs);

  RewriterBase &b;
  Location loc;
  const Attention &attention;
  const AttentionStage &stage;
  int64_t blockRows;
  /// What the ops of a block have given so far.
  DenseMap<Value, Value> tiles;
  TileReuse reuse;
};
} // namespace

Emitter::Emitter(RewriterBase &b, const Attention &attention,
                 const AttentionStage &stage, int64_t blockRows)
    : b(b), loc(attention.loc), attention(attention), stage(stage),
      blockRows(blockRows), reuse(stage) {}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

OpFoldResult Emitter::batchIndex(OpFoldResult matrix, Axis axis,
                                 int64_t extent) {
  if (axis.stride == 1 && extent == attention.batches)
    return matrix;
  AffineExpr number = b.getAffineDimExpr(0);
  return affine::makeComposedFoldedAffineApply(
      b, loc, AffineMap::get(1, 0, number.floorDiv(axis.stride) % extent),
      {matrix});
}

Slice Emitter::sliceOf(ArrayRef<Axis> axes, ArrayRef<int64_t> shape,
                       const Rows &rows) {
  Slice slice;
  for (auto [axis, extent] : llvm::zip_equal(axes, shape)) {
    bool isBatch = axis.kind == Axis::Batch, isRow = axis.kind == Axis::Row;
    slice.offsets.push_back(isBatch ? batchIndex(rows.matrix, axis, extent)
                            : isRow ? rows.first
                                    : index(0));
    slice.sizes.push_back(index(isBatch ? 1 : isRow ? rows.count : extent));
    slice.strides.push_back(index(1));
  }
  return slice;
}

/// What `result` has for one matrix.
Slice Emitter::matrixOf(OpResult result, OpFoldResult matrix) {
  return sliceOf(attention.axes.lookup(result),
                 cast<ShapedType>(result.getType()).getShape(),
                 {matrix, index(0), attention.rows});
}

/// Where some rows are in that.
Slice Emitter::rowsInMatrix(OpResult result, const Rows &rows) {
  return sliceOf(attention.axes.lookup(result),
                 cast<ShapedType>(result.getType()).getShape(),
                 {index(0), rows.first, rows.count});
}

RankedTensorType Emitter::tileType(ArrayRef<Axis> axes, RankedTensorType type,
                                   int64_t rows) {
  SmallVector<int64_t> shape(type.getShape());
  for (auto [axis, extent] : llvm::zip_equal(axes, shape))
    extent = axis.kind == Axis::Batch ? 1
             : axis.kind == Axis::Row ? rows
                                      : extent;
  return RankedTensorType::get(shape, type.getElementType());
}

/// The elements of `operand` for some rows.
Value Emitter::getTile(linalg::LinalgOp op, OpOperand &operand,
                       const Rows &rows) {
  Value value = operand.get();
  if (Value tile = tiles.lookup(value))
    return tile;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return value;
  Axes axes = axesThrough(op.getMatchingIndexingMap(&operand),
                          attention.parts.find(op)->second.loops);
  RankedTensorType tile = tileType(axes, type, rows.count);
  if (tile == type)
    return value;
  if (value.getDefiningOp<tensor::EmptyOp>())
    return tensor::EmptyOp::create(b, loc, tile.getShape(),
                                   tile.getElementType());
  SplatElementsAttr splat;
  if (matchPattern(value, m_Constant(&splat)))
    return arith::ConstantOp::create(b, loc, splat.resizeSplat(tile));
  Slice slice = sliceOf(axes, type.getShape(), rows);
  return tensor::ExtractSliceOp::create(b, loc, tile, value, slice.offsets,
                                        slice.sizes, slice.strides);
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// What `op` writes to: `out`, if that is what the result is kept in.
Value Emitter::getInit(linalg::LinalgOp op, OpOperand &init, const Rows &rows,
                       Value out) {
  Axes axes = axesThrough(op.getMatchingIndexingMap(&init),
                          attention.parts.find(op)->second.loops);
  auto type = cast<RankedTensorType>(init.get().getType());
  RankedTensorType tile = tileType(axes, type, rows.count);
  auto fill = init.get().getDefiningOp<linalg::FillOp>();
  if (attention.accumulates(op))
    return out;
  if (!out && !fill)
    if (Value value = reuse.find(op))
      out = tiles.lookup(value);
  if (!out)
    out =
        tensor::EmptyOp::create(b, loc, tile.getShape(), tile.getElementType());
  if (fill)
    out = linalg::FillOp::create(b, loc, fill.value(), out).getResult(0);
  return out;
}

void Emitter::emitReshape(Operation *op, const Rows &rows) {
  Value source = tiles.lookup(op->getOperand(0)), result = op->getResult(0);
  RankedTensorType type =
      tileType(attention.axes.lookup(result),
               cast<RankedTensorType>(result.getType()), rows.count);
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    tiles[result] = tensor::ExpandShapeOp::create(
        b, loc, type, source, expand.getReassociationIndices());
  else
    tiles[result] = tensor::CollapseShapeOp::create(
        b, loc, type, source,
        cast<tensor::CollapseShapeOp>(op).getReassociationIndices());
}

/// Where `result` is kept; null if it is not. A reshape of it may be what is.
Value Emitter::findOut(OpResult result, ArrayRef<Value> outs) {
  for (auto [kept, out] : llvm::zip_equal(stage.results, outs)) {
    if (kept == result)
      return out;
    auto expand = kept.getDefiningOp<tensor::ExpandShapeOp>();
    if (expand && expand.getSrc() == result)
      return tensor::CollapseShapeOp::create(b, loc, out,
                                             expand.getReassociationIndices());
  }
  return {};
}

void Emitter::emitOp(Operation *op, const Rows &rows, ArrayRef<Value> outs) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp)
    return emitReshape(op, rows);
  SmallVector<Value> operands;
  for (OpOperand *input : linalgOp.getDpsInputOperands())
    operands.push_back(getTile(linalgOp, *input, rows));
  SmallVector<Type> types;
  for (auto [init, result] :
       llvm::zip_equal(linalgOp.getDpsInitsMutable(), op->getResults())) {
    operands.push_back(getInit(linalgOp, init, rows, findOut(result, outs)));
    types.push_back(operands.back().getType());
  }
  auto tile = cast<linalg::LinalgOp>(clone(b, op, types, operands));
  for (auto [result, value] :
       llvm::zip_equal(op->getResults(), tile->getResults()))
    tiles[result] = value;
  if (!tile.hasIndexSemantics())
    return;
  SmallVector<OpFoldResult> offsets;
  for (auto [axis, extent] :
       llvm::zip_equal(attention.parts.find(op)->second.loops,
                       linalgOp.getStaticLoopRanges()))
    offsets.push_back(axis.kind == Axis::Batch
                          ? batchIndex(rows.matrix, axis, extent)
                      : axis.kind == Axis::Row ? rows.first
                                               : index(0));
  OpBuilder::InsertionGuard guard(b);
  linalg::offsetIndices(b, tile, offsets);
}

/// All ops for some rows. What is kept is written to `outs`, which are tiles.
SmallVector<Value> Emitter::emitBlock(const Rows &rows, ArrayRef<Value> outs) {
  tiles.clear();
  for (Operation *op : stage.ops)
    emitOp(op, rows, outs);
  return llvm::map_to_vector(
      stage.results, [&](OpResult result) { return tiles.lookup(result); });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// In the terminator of a parallel loop.
void Emitter::insert(ArrayRef<Value> tiles, ArrayRef<Slice> slices,
                     ValueRange outs) {
  for (auto [tile, slice, out] : llvm::zip_equal(tiles, slices, outs))
    tensor::ParallelInsertSliceOp::create(b, loc, tile, out, slice.offsets,
                                          slice.sizes, slice.strides);
}

OpFoldResult Emitter::firstRow(Value block) {
  return affine::makeComposedFoldedAffineApply(
      b, loc, AffineMap::get(1, 0, b.getAffineDimExpr(0) * blockRows),
      {OpFoldResult(block)});
}

/// All matrices, and `blocks` blocks of `count` rows of each.
void Emitter::emitParallel(MutableArrayRef<Value> outs) {
  int64_t whole = attention.rows / blockRows, rest = attention.rows % blockRows;
  auto loop = [&](int64_t blocks, int64_t count, bool isRest) {
    SmallVector<OpFoldResult> bounds = {index(attention.batches)};
    if (!isRest)
      bounds.push_back(index(blocks));
    auto forall =
        scf::ForallOp::create(b, loc, bounds, ValueRange(outs), std::nullopt);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(forall.getBody());
    Rows rows = {OpFoldResult(forall.getInductionVar(0)),
                 isRest ? index(whole * blockRows)
                        : firstRow(forall.getInductionVar(1)),
                 count};
    SmallVector<Slice> slices;
    SmallVector<Value> parts;
    for (auto [result, out] :
         llvm::zip_equal(stage.results, forall.getRegionIterArgs())) {
      auto type = cast<RankedTensorType>(result.getType());
      Axes axes = attention.axes.lookup(result);
      Slice slice = sliceOf(axes, type.getShape(), rows);
      parts.push_back(tensor::ExtractSliceOp::create(
          b, loc, tileType(axes, type, count), out, slice.offsets, slice.sizes,
          slice.strides));
      slices.push_back(std::move(slice));
    }
    SmallVector<Value> made = emitBlock(rows, parts);
    b.setInsertionPointToEnd(forall.getTerminator().getBody());
    insert(made, slices, forall.getRegionIterArgs());
    llvm::copy(forall.getResults(), outs.begin());
  };
  loop(whole, blockRows, /*isRest=*/false);
  if (rest)
    loop(1, rest, /*isRest=*/true);
}

/// Computes some rows of a matrix, in `outs`, which hold what is kept of it.
SmallVector<Value> Emitter::addBlock(const Rows &rows, ValueRange outs) {
  SmallVector<Value> parts;
  SmallVector<Slice> slices;
  for (auto [result, out] : llvm::zip_equal(stage.results, outs)) {
    slices.push_back(rowsInMatrix(result, rows));
    Axes axes = attention.axes.lookup(result);
    bool isSum = attention.accumulates(result.getOwner());
    parts.push_back(
        isSum ? out
              : tensor::ExtractSliceOp::create(
                    b, loc,
                    tileType(axes, cast<RankedTensorType>(result.getType()),
                             rows.count),
                    out, slices.back().offsets, slices.back().sizes,
                    slices.back().strides));
  }
  SmallVector<Value> made = emitBlock(rows, parts);
  for (auto [result, tile, slice, out] :
       llvm::zip_equal(stage.results, made, slices, outs))
    if (!attention.accumulates(result.getOwner()))
      tile = tensor::InsertSliceOp::create(b, loc, tile, out, slice.offsets,
                                           slice.sizes, slice.strides);
  return made;
}

/// One matrix after the other in each thread, one block after the other of it.
void Emitter::emitSums(MutableArrayRef<Value> outs) {
  int64_t whole = attention.rows / blockRows, rest = attention.rows % blockRows;
  auto forall = scf::ForallOp::create(
      b, loc, ArrayRef<OpFoldResult>{index(attention.batches)},
      ValueRange(outs), std::nullopt);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forall.getBody());
  OpFoldResult matrix = forall.getInductionVar(0);
  SmallVector<Slice> slices;
  SmallVector<Value> parts;
  for (auto [result, out] :
       llvm::zip_equal(stage.results, forall.getRegionIterArgs())) {
    auto type = cast<RankedTensorType>(result.getType());
    slices.push_back(matrixOf(result, matrix));
    Value part = tensor::ExtractSliceOp::create(
        b, loc, tileType(attention.axes.lookup(result), type, attention.rows),
        out, slices.back().offsets, slices.back().sizes, slices.back().strides);
    auto op = cast<linalg::LinalgOp>(result.getOwner());
    if (attention.accumulates(op)) {
      auto fill = op.getDpsInitOperand(result.getResultNumber())
                      ->get()
                      .getDefiningOp<linalg::FillOp>();
      part = linalg::FillOp::create(b, loc, fill.value(), part).getResult(0);
    }
    parts.push_back(part);
  }
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value count = arith::ConstantIndexOp::create(b, loc, whole);
  auto loop = scf::ForOp::create(
      b, loc, zero, count, one, parts,
      [&](OpBuilder &, Location, Value block, ValueRange carried) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(block.getParentBlock());
        scf::YieldOp::create(
            b, loc, addBlock({matrix, firstRow(block), blockRows}, carried));
      });
  parts = SmallVector<Value>(loop.getResults());
  if (rest)
    parts = addBlock({matrix, index(whole * blockRows), rest}, parts);
  b.setInsertionPointToEnd(forall.getTerminator().getBody());
  insert(parts, slices, forall.getRegionIterArgs());
  llvm::copy(forall.getResults(), outs.begin());
}

void Emitter::emit(MutableArrayRef<Value> outs) {
  if (llvm::any_of(stage.results, [&](OpResult result) {
        return attention.accumulates(result.getOwner());
      }))
    emitSums(outs);
  else
    emitParallel(outs);
}

void plait::emitBlocks(RewriterBase &rewriter, const Attention &attention,
                       const AttentionStage &stage, int64_t blockRows,
                       MutableArrayRef<Value> outs) {
  Emitter(rewriter, attention, stage, blockRows).emit(outs);
}
