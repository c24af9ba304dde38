//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Update rows: of an embedding, a step reads few rows, and the gradient of all
// others is zero. An optimizer that leaves an element with its states as it is
// where the gradient is zero (SGD, Adagrad) need not see them. The gradient is
// then made for each row that is read, not for each that there is: rows that
// are read more than once get one place, that of the last time.
//
//===----------------------------------------------------------------------===//

#include "../Raise/UpdateSlice.h"
#include "ZeroGradient.h"

#include "plait/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINUPDATEROWS
#include "plait/Passes.h.inc"
} // namespace plait

//===----------------------------------------------------------------------===//
// Which gradients
//===----------------------------------------------------------------------===//

namespace {
/// A loop that adds to one row of zeros at a time.
struct Scatter {
  scf::ForOp loop;
  FloatAttr zero;
  tensor::ExtractSliceOp read;
  tensor::InsertSliceOp write;
  int64_t count;

  Value row() { return write.getOffsets().front(); }
};
} // namespace

/// Whether a slice is a whole row, at an offset that is computed.
static bool isRow(OffsetSizeAndStrideOpInterface slice,
                  ArrayRef<int64_t> shape) {
  SmallVector<int64_t> sizes(shape);
  sizes.front() = 1;
  return slice.getOffsets().size() == 1 && slice.isDynamicOffset(0) &&
         llvm::all_of(slice.getStaticOffsets().drop_front(),
                      [](int64_t offset) { return offset == 0; }) &&
         slice.getStaticSizes() == ArrayRef(sizes) &&
         llvm::all_of(slice.getStaticStrides(),
                      [](int64_t stride) { return stride == 1; });
}

/// The loop that makes `gradient`, for the update alone.
static FailureOr<Scatter> matchScatter(Value gradient) {
  auto loop = gradient.getDefiningOp<scf::ForOp>();
  if (!loop || !loop.getInductionVar().getType().isIndex() ||
      !gradient.hasOneUse() || loop.getNumRegionIterArgs() != 1 ||
      getConstantIntValue(loop.getLowerBound()) != 0 ||
      getConstantIntValue(loop.getStep()) != 1)
    return failure();
  std::optional<int64_t> count = getConstantIntValue(loop.getUpperBound());
  auto init = dyn_cast_or_null<FloatAttr>(plait::getConstantElement(
      plait::lookThroughSplats(loop.getInits().front())));
  if (!count || !init || !init.getValue().isPosZero())
    return failure();
  Value rows = loop.getRegionIterArg(0);
  Scatter scatter{loop, init, nullptr, nullptr, *count};
  for (Operation *user : rows.getUsers())
    if (auto read = dyn_cast<tensor::ExtractSliceOp>(user))
      scatter.read = read;
    else
      scatter.write = dyn_cast<tensor::InsertSliceOp>(user);
  auto shape = cast<RankedTensorType>(gradient.getType()).getShape();
  if (!rows.hasNUses(2) || !scatter.read || !scatter.write ||
      !scatter.read->isBeforeInBlock(scatter.write) ||
      scatter.write.getDest() != rows ||
      scatter.write.getResult() != loop.getYieldedValues().front() ||
      !isRow(scatter.read, shape) || !isRow(scatter.write, shape) ||
      scatter.read.getOffsets().front() != scatter.row() ||
      !llvm::all_of(*loop.getBody(), [](Operation &op) {
        return op.hasTrait<OpTrait::IsTerminator>() || isMemoryEffectFree(&op);
      }))
    return failure();
  return scatter;
}

/// The only input of `update` that is no scalar, if all tensors have the same
/// elements in the same order.
static OpOperand *findGradient(linalg::GenericOp update) {
  if (!update.hasPureTensorSemantics() || update.hasDynamicShape() ||
      update.hasIndexSemantics() || update.getNumLoops() < 2 ||
      update.getNumParallelLoops() != update.getNumLoops())
    return nullptr;
  OpOperand *gradient = nullptr;
  for (OpOperand &operand : update->getOpOperands()) {
    AffineMap map = update.getMatchingIndexingMap(&operand);
    if (!update.isDpsInit(&operand) && map.getNumResults() == 0)
      continue;
    if (!map.isIdentity() || (gradient && !update.isDpsInit(&operand)))
      return nullptr;
    if (!update.isDpsInit(&operand))
      gradient = &operand;
  }
  return gradient;
}

//===----------------------------------------------------------------------===//
// Rewrite
//===----------------------------------------------------------------------===//

namespace {
/// Writes the three loops at the place of the update.
class Rewrite {
public:
  Rewrite(RewriterBase &rewriter, linalg::GenericOp update, OpOperand *gradient,
          Scatter scatter)
      : rewriter(rewriter), b(update.getLoc(), update), update(update),
        gradient(gradient), scatter(scatter),
        shape(cast<RankedTensorType>(gradient->get().getType()).getShape()) {}
  void run();

private:
  using Body = llvm::function_ref<SmallVector<Value>(Value, ValueRange)>;
  SmallVector<Value> loop(ValueRange inits, Body body);
  Value rowAt(Value iteration);
  Value placeOf(Value row);
  Value slice(Value tensor, Value at);
  Value insert(Value row, Value slice);
  void makePlaces();
  Value makeGradient();
  SmallVector<Value> updateRow(Value gradient, ValueRange old, Value row,
                               Value place);

  RewriterBase &rewriter;
  ImplicitLocOpBuilder b;
  linalg::GenericOp update;
  OpOperand *gradient;
  Scatter scatter;
  ArrayRef<int64_t> shape;
  /// For each row that is read, the last iteration that does.
  Value places;
};
} // namespace

/// A loop over the iterations of the scatter.
SmallVector<Value> Rewrite::loop(ValueRange inits, Body body) {
  auto op = scf::ForOp::create(
      b, scatter.loop.getLowerBound(), scatter.loop.getUpperBound(),
      scatter.loop.getStep(), inits,
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        scf::YieldOp::create(b, body(i, carried));
      });
  return op.getResults();
}

/// Which row an iteration of the scatter adds to.
Value Rewrite::rowAt(Value iteration) {
  llvm::SetVector<Operation *> ops;
  BackwardSliceOptions options;
  options.inclusive = true;
  options.omitUsesFromAbove = false;
  options.filter = [&](Operation *op) {
    return scatter.loop->isProperAncestor(op);
  };
  if (Operation *def = scatter.row().getDefiningOp())
    (void)getBackwardSlice(def, &ops, options);
  IRMapping map;
  map.map(scatter.loop.getInductionVar(), iteration);
  for (Operation *op : ops)
    b.clone(*op, map);
  return map.lookupOrDefault(scatter.row());
}

Value Rewrite::placeOf(Value row) {
  Value place = tensor::ExtractOp::create(b, places, row);
  return arith::IndexCastOp::create(b, b.getIndexType(), place);
}

Value Rewrite::slice(Value tensor, Value at) {
  SmallVector<OpFoldResult> offsets(shape.size(), b.getIndexAttr(0)),
      sizes = getAsIndexOpFoldResult(b.getContext(), shape),
      strides(shape.size(), b.getIndexAttr(1));
  offsets.front() = at;
  sizes.front() = b.getIndexAttr(1);
  return tensor::ExtractSliceOp::create(b, tensor, offsets, sizes, strides);
}

/// Puts `row`, made of `slice`, where that was taken from.
Value Rewrite::insert(Value row, Value slice) {
  auto old = slice.getDefiningOp<tensor::ExtractSliceOp>();
  return tensor::InsertSliceOp::create(
      b, row, old.getSource(), old.getMixedOffsets(), old.getMixedSizes(),
      old.getMixedStrides());
}

/// Rows that nobody reads have no place, and their elements are never read.
void Rewrite::makePlaces() {
  Value empty =
      tensor::EmptyOp::create(b, ArrayRef(shape.front()), b.getI32Type());
  places = loop(empty, [&](Value i, ValueRange carried) {
             Value place = arith::IndexCastOp::create(b, b.getI32Type(), i);
             Value next =
                 tensor::InsertOp::create(b, place, carried.front(), rowAt(i));
             return SmallVector<Value>{next};
           }).front();
}

/// The same sums in the same order, with a row for each iteration.
Value Rewrite::makeGradient() {
  SmallVector<int64_t> rows(shape);
  rows.front() = scatter.count;
  Value zero = arith::ConstantOp::create(b, scatter.zero);
  Value empty = tensor::EmptyOp::create(b, rows, scatter.zero.getType());
  Value zeros = linalg::FillOp::create(b, zero, empty).getResult(0);
  auto body = [&](Value i, ValueRange carried) -> SmallVector<Value> {
    IRMapping map;
    map.map(scatter.loop.getInductionVar(), i);
    Value old, next;
    for (Operation &op : scatter.loop.getBody()->without_terminator())
      if (&op == scatter.read) {
        Value place = placeOf(map.lookupOrDefault(scatter.row()));
        old = slice(carried.front(), place);
        map.map(scatter.read.getResult(), old);
      } else if (&op == scatter.write) {
        next = insert(map.lookupOrDefault(scatter.write.getSource()), old);
      } else {
        b.clone(op, map);
      }
    return {next};
  };
  return loop(zeros, body).front();
}

SmallVector<Value> Rewrite::updateRow(Value sums, ValueRange old, Value row,
                                      Value place) {
  IRMapping map;
  map.map(gradient->get(), slice(sums, place));
  SmallVector<Value> slices, next;
  for (auto [init, value] : llvm::zip_equal(update.getDpsInits(), old)) {
    slices.push_back(slice(value, row));
    map.map(init, slices.back());
  }
  Operation *clone = b.clone(*update, map);
  for (auto [result, slice] : llvm::zip_equal(clone->getResults(), slices)) {
    result.setType(slice.getType());
    next.push_back(insert(result, slice));
  }
  return next;
}

void Rewrite::run() {
  makePlaces();
  Value sums = makeGradient();
  SmallVector<Value> inits(update.getDpsInits());
  Value one = scatter.loop.getStep(), none = scatter.loop.getLowerBound();
  auto body = [&](Value i, ValueRange old) -> SmallVector<Value> {
    Value row = rowAt(i), place = placeOf(row);
    Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, place, i);
    // No iteration or one: a branch would also yield tensors that it leaves as
    // they are, which bufferization copies.
    Value count = arith::SelectOp::create(b, isLast, one, none);
    auto branch = scf::ForOp::create(
        b, none, count, one, old,
        [&](OpBuilder &, Location, Value, ValueRange carried) {
          scf::YieldOp::create(b, updateRow(sums, carried, row, place));
        });
    return branch.getResults();
  };
  rewriter.replaceOp(update, loop(inits, body));
  rewriter.eraseOp(scatter.loop);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// Whether an update of all rows, which several threads share, moves more bytes
/// than one of those that are read.
static bool isSparse(const Scatter &scatter, linalg::GenericOp update) {
  constexpr int64_t kRowsPerRead = 2;
  return update.getStaticLoopRanges().front() >= kRowsPerRead * scatter.count;
}

static void updateRows(RewriterBase &rewriter, linalg::GenericOp update) {
  OpOperand *gradient = findGradient(update);
  if (!gradient)
    return;
  FailureOr<Scatter> scatter = matchScatter(gradient->get());
  if (failed(scatter) || !isSparse(*scatter, update))
    return;
  auto opts =
      remark::RemarkOpts::name("update-rows").category("train-update-rows");
  std::string rows = std::to_string(update.getStaticLoopRanges().front());
  if (!plait::keepsAtZeroGradient(update, gradient)) {
    remark::missed(update.getLoc(), opts)
        << "all " + rows +
               " rows are updated: the optimizer changes elements whose "
               "gradient "
               "is zero; SGD without momentum and weight decay, and Adagrad, "
               "do "
               "not";
    return;
  }
  remark::passed(update.getLoc(), opts)
      << "of " + rows + " rows, at most " + std::to_string(scatter->count) +
             " are updated: those that the step reads";
  rewriter.setInsertionPoint(update);
  Rewrite(rewriter, update, gradient, *scatter).run();
}

namespace {
struct UpdateRows : plait::impl::TrainUpdateRowsBase<UpdateRows> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::GenericOp> updates;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (!op->getParentOfType<LoopLikeOpInterface>())
        updates.push_back(op);
    });
    for (linalg::GenericOp update : updates)
      updateRows(rewriter, update);
  }
};
} // namespace
