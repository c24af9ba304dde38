//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whoever reads a matrix of queries and keys joins, and so does what makes the
// other matrices that it reads: the product that is the gradient of the weights,
// a mask. Statistics of rows (maximum, sum) join as well. Each op must work on
// blocks of rows: its loops over matrices and rows are those of all others, and
// what it gives is for the same rows, or a sum over all of them.
//
//===----------------------------------------------------------------------===//

#include "Attention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace plait;

namespace {
class Finder {
public:
  Finder(linalg::LinalgOp scores) : block(scores->getBlock()), found(scores) {}
  LogicalResult find(unsigned rowLoop, unsigned colLoop);
  Attention take() { return std::move(found); }
  std::string reason;

private:
  LogicalResult fail(const Twine &why) {
    reason = why.str();
    return failure();
  }
  LogicalResult markScores(unsigned rowLoop, unsigned colLoop);
  bool join(Operation *op, bool readsMatrix);
  bool joinReshape(Operation *op);
  bool add(Operation *op, Axes loops, bool isMember);
  bool mayBePart(linalg::LinalgOp op, ArrayRef<Axis> loops, bool isMember);
  void bring(Value value, ArrayRef<Axis> axes);
  void bringOperands(linalg::LinalgOp op, ArrayRef<Axis> loops);
  void bringReshape(Operation *op, ArrayRef<Axis> axes);
  FailureOr<Axes> inferLoops(linalg::LinalgOp op);
  LogicalResult checkParts();
  LogicalResult checkIsAttention();

  Block *block;
  Attention found;
  SmallVector<Value> worklist;
};
} // namespace

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<ShapedType>(value.getType()).getShape();
}

/// Whether `map` takes the tiles of a tensor with `axes` by tiles of the loops.
static bool agree(AffineMap map, ArrayRef<Axis> loops, ArrayRef<Axis> axes) {
  for (auto [expr, axis] : llvm::zip_equal(map.getResults(), axes)) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (dim ? loops[dim.getPosition()] != axis : axis.kind != Axis::Whole)
      return false;
  }
  return true;
}

static bool isTensorOp(linalg::LinalgOp op) {
  return op && op.hasPureTensorSemantics() && !op.hasDynamicShape() &&
         op->getNumResults() > 0 && !isa<linalg::FillOp>(op);
}

/// A little arithmetic, which may be done again for each matrix of a batch.
static bool isCheap(linalg::LinalgOp op) {
  constexpr int64_t kMaxOps = 8;
  int64_t count = 0;
  for (Operation &inner : op.getBlock()->without_terminator())
    if (!isa<arith::ArithDialect>(inner.getDialect()) &&
        !isa<linalg::IndexOp>(inner))
      return false;
    else if (++count > kMaxOps)
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Who takes part
//===----------------------------------------------------------------------===//

/// Whether an op with such loops can be computed for one matrix and some rows.
bool Finder::mayBePart(linalg::LinalgOp op, ArrayRef<Axis> loops,
                       bool isMember) {
  if (hasRepeatedAxis(loops))
    return false;
  bool sumsRows = false;
  for (auto [axis, kind] : llvm::zip_equal(loops, op.getIteratorTypesArray())) {
    if (kind == utils::IteratorType::parallel)
      continue;
    // Matrices are computed by several threads.
    if (axis.kind == Axis::Batch || !isMember)
      return false;
    sumsRows |= axis.kind == Axis::Row;
  }
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (!isa<RankedTensorType>(operand.get().getType()))
      continue;
    // A subscript that is no loop must not depend on a loop that is divided.
    for (AffineExpr expr : map.getResults())
      for (auto [loop, axis] : llvm::enumerate(loops))
        if (!isa<AffineDimExpr>(expr) && axis.kind != Axis::Whole &&
            expr.isFunctionOfDim(loop))
          return false;
  }
  for (OpOperand &init : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    Axes axes = axesThrough(map, loops);
    if (!map.isProjectedPermutation(/*allowZeroInResults=*/true) ||
        (isMember && countBatches(axes, shapeOf(init.get())) != found.batches))
      return false;
    bool isFilled = init.get().getDefiningOp<linalg::FillOp>();
    if (!isFilled && (sumsRows || op.payloadUsesValueFromOperand(&init)))
      return false;
  }
  return true;
}

/// Notes that `op` takes part, with what it gives.
bool Finder::add(Operation *op, Axes loops, bool isMember) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  for (OpResult result : op->getResults()) {
    Axes axes = loops;
    if (linalgOp)
      axes = axesThrough(linalgOp.getIndexingMapMatchingResult(result), loops);
    found.axes[result] = axes;
    if (isMember && (isMatrix(axes) || isRowStatistic(axes, shapeOf(result))))
      worklist.push_back(result);
  }
  found.parts[op] = {std::move(loops), isMember, 0};
  return true;
}

/// What the loops of `op` are, by what is known of its operands.
FailureOr<Axes> Finder::inferLoops(linalg::LinalgOp op) {
  Axes loops(op.getNumLoops());
  for (OpOperand *operand : op.getDpsInputOperands()) {
    auto known = found.axes.find(operand->get());
    if (known == found.axes.end())
      continue;
    AffineMap map = op.getMatchingIndexingMap(operand);
    for (auto [expr, axis] : llvm::zip_equal(map.getResults(), known->second)) {
      if (axis.kind == Axis::Whole)
        continue;
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim)
        return failure();
      Axis &loop = loops[dim.getPosition()];
      if (loop.kind != Axis::Whole && loop != axis)
        return failure();
      loop = axis;
    }
  }
  return loops;
}

bool Finder::joinReshape(Operation *op) {
  auto known = found.axes.find(op->getOperand(0));
  if (known == found.axes.end())
    return false;
  FailureOr<Axes> axes = failure();
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    axes = expandAxes(known->second, shapeOf(expand.getResult()),
                      expand.getReassociationIndices());
  else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    axes = collapseAxes(known->second, shapeOf(collapse.getSrc()),
                        collapse.getReassociationIndices());
  return succeeded(axes) && add(op, *axes, /*isMember=*/true);
}

/// A reader of a matrix, or of a statistic of its rows, becomes a member.
bool Finder::join(Operation *op, bool readsMatrix) {
  if (found.isMember(op))
    return true;
  if (op->getBlock() != block)
    return false;
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
    return joinReshape(op);
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!isTensorOp(linalgOp))
    return false;
  FailureOr<Axes> loops = inferLoops(linalgOp);
  if (failed(loops) || !mayBePart(linalgOp, *loops, /*isMember=*/true))
    return false;
  if (!readsMatrix && !llvm::all_of(op->getResults(), [&](OpResult result) {
        Axes axes =
            axesThrough(linalgOp.getIndexingMapMatchingResult(result), *loops);
        return isMatrix(axes) || isRowStatistic(axes, shapeOf(result));
      }))
    return false;
  add(op, *loops, /*isMember=*/true);
  bringOperands(linalgOp, *loops);
  return true;
}

/// Makes the matrices that `op` reads parts, as far as they can be.
void Finder::bringOperands(linalg::LinalgOp op, ArrayRef<Axis> loops) {
  for (OpOperand *operand : op.getDpsInputOperands()) {
    Axes axes = axesThrough(op.getMatchingIndexingMap(operand), loops);
    if (isMatrix(axes))
      bring(operand->get(), axes);
  }
}

void Finder::bringReshape(Operation *op, ArrayRef<Axis> axes) {
  Value source = op->getOperand(0);
  FailureOr<Axes> before = failure();
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    before = collapseAxes(axes, shapeOf(expand.getResult()),
                          expand.getReassociationIndices());
  else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    before =
        expandAxes(axes, shapeOf(source), collapse.getReassociationIndices());
  if (failed(before))
    return;
  bring(source, *before);
  // Of what stays in memory, blocks of the result are read.
  if (found.axes.contains(source))
    add(op, Axes(axes), /*isMember=*/false);
}

/// Another product joins as the scores did. Arithmetic is done where it is read,
/// and what cannot be is read from memory.
void Finder::bring(Value value, ArrayRef<Axis> axes) {
  Operation *def = value.getDefiningOp();
  if (found.axes.contains(value) || !def || def->getBlock() != block)
    return;
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(def))
    return bringReshape(def, axes);
  auto op = dyn_cast<linalg::LinalgOp>(def);
  if (!isTensorOp(op))
    return;
  AffineMap map = op.getIndexingMapMatchingResult(cast<OpResult>(value));
  if (!map.isProjectedPermutation(/*allowZeroInResults=*/true))
    return;
  Axes loops(op.getNumLoops());
  for (auto [expr, axis] : llvm::zip_equal(map.getResults(), axes))
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      loops[dim.getPosition()] = axis;
  bool isProduct = linalg::isaContractionOpInterface(op);
  if (!mayBePart(op, loops, isProduct) ||
      (!isProduct && !isCheap(op) &&
       countBatches(axes, shapeOf(value)) != found.batches))
    return;
  add(op, loops, isProduct);
  bringOperands(op, loops);
}

//===----------------------------------------------------------------------===//
// Whether it is one
//===----------------------------------------------------------------------===//

LogicalResult Finder::markScores(unsigned rowLoop, unsigned colLoop) {
  linalg::LinalgOp op = found.scores;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  AffineMap map = op.getIndexingMapsArray().back();
  Axes loops(extents.size());
  found.batches = 1;
  for (AffineExpr expr : llvm::reverse(map.getResults())) {
    unsigned loop = cast<AffineDimExpr>(expr).getPosition();
    if (loop == rowLoop || loop == colLoop) {
      loops[loop].kind = loop == rowLoop ? Axis::Row : Axis::Col;
    } else if (extents[loop] > 1) {
      loops[loop] = {Axis::Batch, found.batches};
      found.batches *= extents[loop];
    }
  }
  found.rows = extents[rowLoop];
  found.cols = extents[colLoop];
  if (!mayBePart(op, loops, /*isMember=*/true))
    return fail("its batches cannot be computed one by one");
  add(op, loops, /*isMember=*/true);
  return success();
}

/// Each part must take tiles of the others' results as they are made.
LogicalResult Finder::checkParts() {
  for (auto &[op, part] : found.parts) {
    auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
    WalkResult captures = op->walk([&](Operation *inner) {
      bool isInner = inner != op;
      return isInner && llvm::any_of(inner->getOperands(),
                                     [&](Value value) {
                                       return found.axes.contains(value);
                                     })
                 ? WalkResult::interrupt()
                 : WalkResult::advance();
    });
    if (captures.wasInterrupted())
      return fail("'" + op->getName().getStringRef() +
                  "' reads single elements of what it depends on");
    for (OpOperand &operand : op->getOpOperands()) {
      Operation *def = operand.get().getDefiningOp();
      auto producer = found.parts.find(def);
      if (!def || producer == found.parts.end())
        continue;
      if (linalgOp && !agree(linalgOp.getMatchingIndexingMap(&operand),
                             part.loops, found.axes.lookup(operand.get())))
        return fail("'" + op->getName().getStringRef() +
                    "' reads other rows than it makes");
      if (producer->second.stage == part.stage && found.accumulates(def))
        return fail("'" + op->getName().getStringRef() +
                    "' reads a sum over all rows");
    }
  }
  return success();
}

/// Between two products, something reduces the columns: otherwise there are the
/// layers of a network, whose activations are not made again.
LogicalResult Finder::checkIsAttention() {
  bool hasStatistic = false, hasProduct = false;
  for (auto &[op, part] : found.parts) {
    auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
    if (!linalgOp || !part.isMember || op == found.scores)
      continue;
    bool isProduct = linalg::isaContractionOpInterface(linalgOp);
    for (auto [axis, kind] :
         llvm::zip_equal(part.loops, linalgOp.getIteratorTypesArray()))
      if (axis.kind == Axis::Col && kind == utils::IteratorType::reduction)
        (isProduct ? hasProduct : hasStatistic) = true;
  }
  if (!hasStatistic || !hasProduct)
    return fail("no rows are normalized before a second product");
  return success();
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

LogicalResult Finder::find(unsigned rowLoop, unsigned colLoop) {
  if (failed(markScores(rowLoop, colLoop)))
    return failure();
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    bool readsMatrix = found.isMatrix(value);
    for (Operation *user : value.getUsers())
      if (!join(user, readsMatrix) && readsMatrix)
        return fail("'" + user->getName().getStringRef() +
                    "' needs the matrix as a whole");
  }
  numberStages(found);
  if (failed(checkParts()) || failed(checkIsAttention()))
    return failure();
  collectStages(found);
  return success();
}

FailureOr<Attention> plait::findAttention(linalg::LinalgOp scores,
                                          std::string &reason) {
  // Its loops: those of both operands are batches, those of one rows or columns.
  SmallVector<AffineMap> maps = scores.getIndexingMapsArray();
  SmallVector<int64_t> extents = scores.getStaticLoopRanges();
  SmallVector<unsigned> sides[2];
  for (auto [loop, kind] : llvm::enumerate(scores.getIteratorTypesArray()))
    if (kind == utils::IteratorType::parallel && extents[loop] > 1)
      for (unsigned side : {0, 1})
        if (!maps[1 - side].isFunctionOfDim(loop))
          sides[side].push_back(loop);
  if (sides[0].size() != 1 || sides[1].size() != 1 ||
      scores.getNumParallelLoops() < 3) {
    reason = "it is no product of batches of matrices";
    return failure();
  }
  // Rows are normalized, and either operand may be the queries.
  for (bool isSwapped : {false, true}) {
    Finder finder(scores);
    if (succeeded(
            finder.find(sides[isSwapped].front(), sides[!isSwapped].front())))
      return finder.take();
    if (!isSwapped)
      reason = finder.reason;
  }
  return failure();
}
