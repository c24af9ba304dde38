//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sums with one term. The loss of a classifier is written as a sum over all
// classes of `class == label ? value : 0`: whole passes over the logits, for what
// is one element of each row. It is read where it is.
//
// No bit changes: zeros that are added change nothing but the sign of a zero, and
// the sum, like the term, is added to +0.
//
//===----------------------------------------------------------------------===//

#include "OneHot.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace {
/// A body, and what its loops are in loops of the sum.
struct Frame {
  mutable linalg::GenericOp op;
  SmallVector<AffineExpr> loops;
};

/// A value of a body.
struct Scalar {
  Frame frame;
  Value value;
};

/// `sum over loop of (condition ? term : 0)`, where the condition is false unless
/// `loop` is at `label`.
struct SelectedSum {
  Frame frame;
  unsigned loop;
  Scalar condition, term, label;
};

/// An operand that the sum's body or a mask reads, and where.
struct Read {
  OpOperand *operand;
  SmallVector<AffineExpr> exprs;
};
} // namespace

//===----------------------------------------------------------------------===//
// Which
//===----------------------------------------------------------------------===//

/// The exprs of `map` with `frame`'s loops in place of its dims.
static SmallVector<AffineExpr> exprsOf(const Frame &frame, AffineMap map) {
  SmallVector<AffineExpr> exprs;
  for (AffineExpr expr : map.getResults())
    exprs.push_back(expr.replaceDims(frame.loops));
  return exprs;
}

static OpOperand *inputOf(const Frame &frame, Value value) {
  auto arg = dyn_cast<BlockArgument>(value);
  return arg && arg.getOwner() == frame.op.getBody()
             ? frame.op.getMatchingOpOperand(arg)
             : nullptr;
}

/// Whether the body of `op` can be written elsewhere, an op at a time, or left out.
static bool isPlain(linalg::GenericOp op) {
  return llvm::all_of(*op.getBody(), [](Operation &inner) {
    return inner.getNumRegions() == 0 && isMemoryEffectFree(&inner);
  });
}

/// Where `value` is an element of a mask or of what a mask selects, what makes it,
/// in the body that does. What reads a tensor as large as itself stays apart.
static std::optional<Scalar> enter(const Frame &frame, Value value) {
  OpOperand *input = inputOf(frame, value);
  auto mask = input ? input->get().getDefiningOp<linalg::GenericOp>()
                    : linalg::GenericOp();
  if (!mask || mask->getNumResults() != 1 || mask.getNumReductionLoops() ||
      !mask.hasPureTensorSemantics() || mask.hasDynamicShape() ||
      !isPlain(mask))
    return std::nullopt;
  int64_t count = ShapedType::getNumElements(mask.getStaticLoopRanges());
  for (Value read : mask.getInputs()) {
    auto type = dyn_cast<RankedTensorType>(read.getType());
    if (type && 2 * type.getNumElements() > count)
      return std::nullopt;
  }
  AffineMap result = mask.getMatchingIndexingMap(mask.getDpsInitOperand(0));
  if (!result.isPermutation() ||
      mask.payloadUsesValueFromOperand(mask.getDpsInitOperand(0)))
    return std::nullopt;
  Frame inner{mask, SmallVector<AffineExpr>(mask.getNumLoops())};
  for (auto [expr, outer] :
       llvm::zip(result.getResults(),
                 exprsOf(frame, frame.op.getMatchingIndexingMap(input))))
    inner.loops[cast<AffineDimExpr>(expr).getPosition()] = outer;
  return Scalar{inner, mask.getBody()->getTerminator()->getOperand(0)};
}

/// `scalar`, or what it is an element of, in the body that makes it.
static Scalar resolve(Scalar scalar) {
  while (auto inner = enter(scalar.frame, scalar.value))
    scalar = *inner;
  return scalar;
}

/// Whether `value` is the same in all iterations of the sum's `loop`.
static bool isFixed(const Frame &frame, Value value, unsigned loop) {
  if (OpOperand *input = inputOf(frame, value))
    return llvm::none_of(
        exprsOf(frame, frame.op.getMatchingIndexingMap(input)),
        [&](AffineExpr expr) { return expr.isFunctionOfDim(loop); });
  Operation *def = value.getDefiningOp();
  if (!def || !frame.op->isProperAncestor(def))
    return true;
  if (auto index = dyn_cast<linalg::IndexOp>(def))
    return !frame.loops[index.getDim()].isFunctionOfDim(loop);
  return llvm::all_of(def->getOperands(), [&](Value operand) {
    return isFixed(frame, operand, loop);
  });
}

/// Whether `value` is the number of the iteration of the sum's `loop`, in an
/// integer that can hold them all.
static bool isIteration(const Frame &frame, Value value, unsigned loop,
                        int64_t extent) {
  if (auto cast = value.getDefiningOp<arith::IndexCastOp>()) {
    unsigned width = cast.getType().getIntOrFloatBitWidth();
    if (width < 63 && extent > int64_t(1) << (width - 1))
      return false;
    value = cast.getIn();
  }
  auto index = value.getDefiningOp<linalg::IndexOp>();
  return index && frame.loops[index.getDim()] ==
                      getAffineDimExpr(loop, value.getContext());
}

/// The label with which `condition` compares the iteration of `loop`, if it is
/// false wherever they differ.
static std::optional<Scalar> findLabel(Scalar condition, unsigned loop,
                                       int64_t extent) {
  condition = resolve(condition);
  const Frame &frame = condition.frame;
  if (auto both = condition.value.getDefiningOp<arith::AndIOp>()) {
    auto label = findLabel({frame, both.getLhs()}, loop, extent);
    return label ? label : findLabel({frame, both.getRhs()}, loop, extent);
  }
  auto compare = condition.value.getDefiningOp<arith::CmpIOp>();
  if (!compare || compare.getPredicate() != arith::CmpIPredicate::eq)
    return std::nullopt;
  Value left = compare.getLhs(), right = compare.getRhs();
  if (isIteration(frame, left, loop, extent) && isFixed(frame, right, loop))
    return Scalar{frame, right};
  if (isIteration(frame, right, loop, extent) && isFixed(frame, left, loop))
    return Scalar{frame, left};
  return std::nullopt;
}

static bool startsAtZero(linalg::GenericOp op) {
  auto fill = op.getOutputs()[0].getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.value(), m_PosZeroFloat());
}

/// What the sum reads, itself or by its masks.
static void collectReads(const Frame &frame, SmallVectorImpl<Read> &reads) {
  for (OpOperand *input : frame.op.getDpsInputOperands()) {
    if (auto mask = enter(frame, frame.op.getMatchingBlockArgument(input)))
      collectReads(mask->frame, reads);
    else
      reads.push_back(
          {input, exprsOf(frame, frame.op.getMatchingIndexingMap(input))});
  }
}

static bool uses(const Read &read, unsigned loop) {
  return llvm::any_of(
      read.exprs, [&](AffineExpr expr) { return expr.isFunctionOfDim(loop); });
}

/// Whether an op without `loop` finds the extents of its loops in its operands,
/// and indexes them plainly.
static bool canLeave(const Frame &frame, unsigned loop) {
  SmallVector<Read> reads;
  collectReads(frame, reads);
  OpOperand *init = frame.op.getDpsInitOperand(0);
  reads.push_back(
      {init, exprsOf(frame, frame.op.getMatchingIndexingMap(init))});
  llvm::SmallBitVector found(frame.op.getNumLoops());
  found.set(loop);
  for (const Read &read : reads)
    for (AffineExpr expr : read.exprs) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim && !isa<AffineConstantExpr>(expr))
        return false;
      if (dim && !uses(read, loop))
        found.set(dim.getPosition());
    }
  return found.all();
}

static std::optional<SelectedSum> match(linalg::GenericOp op) {
  if (!op.hasPureTensorSemantics() || op.hasDynamicShape() ||
      op->getNumResults() != 1 || !op.getNumReductionLoops() || !isPlain(op) ||
      !startsAtZero(op))
    return std::nullopt;
  auto sum = op.getBody()
                 ->getTerminator()
                 ->getOperand(0)
                 .getDefiningOp<arith::AddFOp>();
  BlockArgument acc = op.getRegionOutputArgs()[0];
  if (!sum || !acc.hasOneUse() || *acc.user_begin() != sum)
    return std::nullopt;
  Frame frame{op, {}};
  for (unsigned i = 0, e = op.getNumLoops(); i < e; ++i)
    frame.loops.push_back(getAffineDimExpr(i, op.getContext()));
  Scalar added =
      resolve({frame, sum.getLhs() == acc ? sum.getRhs() : sum.getLhs()});
  auto select = added.value.getDefiningOp<arith::SelectOp>();
  if (!select || !matchPattern(select.getFalseValue(), m_PosZeroFloat()))
    return std::nullopt;
  Scalar condition{added.frame, select.getCondition()};
  Scalar term{added.frame, select.getTrueValue()};
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    int64_t extent = op.getStaticLoopRanges()[loop];
    if (kind != utils::IteratorType::reduction || extent == 0 ||
        !canLeave(frame, loop))
      continue;
    if (auto label = findLabel(condition, loop, extent))
      return SelectedSum{frame, unsigned(loop), condition, term, *label};
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// How
//===----------------------------------------------------------------------===//

namespace {
/// Writes scalars of the sum's body, at the iteration `place` of its loop, into the
/// body of an op without that loop.
class TermWriter {
public:
  TermWriter(OpBuilder &b, Location loc, unsigned loop)
      : b(b), loc(loc), loop(loop) {}

  Value write(Scalar scalar);

  Value place;                     ///< of the sum's loop, once it is known
  DenseMap<OpOperand *, Value> at; ///< arguments for operands without that loop

private:
  Value writeIndex(AffineExpr expr);

  OpBuilder &b;
  Location loc;
  unsigned loop;
};
} // namespace

Value TermWriter::writeIndex(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return arith::ConstantIndexOp::create(b, loc, constant.getValue());
  unsigned dim = cast<AffineDimExpr>(expr).getPosition();
  return dim == loop ? place
                     : linalg::IndexOp::create(b, loc, dim - (dim > loop));
}

Value TermWriter::write(Scalar scalar) {
  scalar = resolve(scalar);
  const auto &[frame, value] = scalar;
  if (OpOperand *input = inputOf(frame, value)) {
    if (Value arg = at.lookup(input))
      return arg;
    SmallVector<Value> indices;
    for (AffineExpr expr :
         exprsOf(frame, frame.op.getMatchingIndexingMap(input)))
      indices.push_back(writeIndex(expr));
    return tensor::ExtractOp::create(b, loc, input->get(), indices);
  }
  Operation *def = value.getDefiningOp();
  if (!def || !frame.op->isProperAncestor(def))
    return value;
  if (auto index = dyn_cast<linalg::IndexOp>(def))
    return writeIndex(frame.loops[index.getDim()]);
  IRMapping map;
  for (Value operand : def->getOperands())
    map.map(operand, write({frame, operand}));
  return b.clone(*def, map)->getResult(cast<OpResult>(value).getResultNumber());
}

/// The sum's one term: at the label, where that is a class at all.
static Value writeSum(OpBuilder &b, const SelectedSum &sum, TermWriter &writer,
                      Value acc) {
  Location loc = sum.frame.op.getLoc();
  Value label = writer.write(sum.label);
  if (!label.getType().isIndex())
    label = arith::IndexCastOp::create(b, loc, b.getIndexType(), label);
  Value extent = arith::ConstantIndexOp::create(
      b, loc, sum.frame.op.getStaticLoopRanges()[sum.loop]);
  Value isClass =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, label, extent);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  writer.place = arith::SelectOp::create(b, loc, isClass, label, zero);
  Value condition =
      arith::AndIOp::create(b, loc, isClass, writer.write(sum.condition));
  Value term = writer.write(sum.term);
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(term.getType()));
  Value selected = arith::SelectOp::create(b, loc, condition, term, none);
  return arith::AddFOp::create(b, loc, selected, acc);
}

static void pick(const SelectedSum &sum) {
  linalg::GenericOp op = sum.frame.op;
  OpBuilder b(op);
  SmallVector<Read> reads;
  collectReads(sum.frame, reads);
  llvm::erase_if(reads, [&](const Read &read) { return uses(read, sum.loop); });
  SmallVector<AffineExpr> dims;
  for (unsigned i = 0, e = op.getNumLoops(); i < e; ++i)
    dims.push_back(b.getAffineDimExpr(i - (i > sum.loop)));
  auto without = [&](AffineMap map) {
    return map.replaceDimsAndSymbols(dims, {}, dims.size() - 1, 0);
  };
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (const Read &read : reads) {
    inputs.push_back(read.operand->get());
    maps.push_back(
        without(AffineMap::get(dims.size(), 0, read.exprs, op.getContext())));
  }
  maps.push_back(without(op.getMatchingIndexingMap(op.getDpsInitOperand(0))));
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  kinds.erase(kinds.begin() + sum.loop);
  auto term = linalg::GenericOp::create(
      b, op.getLoc(), op->getResultTypes(), inputs, op.getOutputs(), maps,
      kinds, [&](OpBuilder &nested, Location loc, ValueRange args) {
        TermWriter writer(nested, loc, sum.loop);
        for (auto [read, arg] : llvm::zip(reads, args))
          writer.at[read.operand] = arg;
        linalg::YieldOp::create(nested, loc,
                                writeSum(nested, sum, writer, args.back()));
      });
  op->replaceAllUsesWith(term);
  op->erase();
}

bool plait::pickSelectedTerms(Operation *root) {
  std::vector<SelectedSum> sums;
  root->walk([&](linalg::GenericOp op) {
    if (auto sum = match(op))
      sums.push_back(*sum);
  });
  for (const SelectedSum &sum : sums)
    pick(sum);
  return !sums.empty();
}
