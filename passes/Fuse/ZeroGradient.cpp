//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ZeroGradient.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace {
/// What is known of a value of an update's body where the gradient is +0. Zeros have
/// signs, for -0 + +0 is +0: a weight of -0 would change.
struct Known {
  enum Kind { Nothing, PlusZero, MinusZero, Positive, Negative, Old };
  Kind kind = Nothing;
  /// Of Old: the value that this destination had before.
  unsigned init = 0;

  bool isZero() const { return kind == PlusZero || kind == MinusZero; }
  bool isNegative() const { return kind == MinusZero || kind == Negative; }
};

/// Follows a gradient of zero through the body of an update.
class ZeroGradient {
public:
  explicit ZeroGradient(linalg::GenericOp update, OpOperand *gradient);
  /// Whether each destination gets what it had.
  bool changesNothing();

private:
  Known of(Value value);
  Known infer(Operation *op);
  Known add(Operation *op, Known a, Known b);

  linalg::GenericOp update;
  DenseMap<Value, Known> known;
};
} // namespace

static Known zero(bool isNegative) {
  return {isNegative ? Known::MinusZero : Known::PlusZero};
}

ZeroGradient::ZeroGradient(linalg::GenericOp update, OpOperand *gradient)
    : update(update) {
  // A scalar is a rate or a scale.
  for (BlockArgument arg : update.getRegionInputArgs())
    known[arg] = {Known::Positive};
  known[update.getMatchingBlockArgument(gradient)] = zero(false);
  for (auto [i, arg] : llvm::enumerate(update.getRegionOutputArgs()))
    known[arg] = {Known::Old, unsigned(i)};
}

Known ZeroGradient::of(Value value) {
  APFloat constant(0.0f);
  if (!matchPattern(value, m_ConstantFloat(&constant)))
    return known.lookup(value);
  if (constant.isZero())
    return zero(constant.isNegative());
  if (!constant.isFinite())
    return {};
  return {constant.isNegative() ? Known::Negative : Known::Positive};
}

/// The sum of `a`, and of `b` that `op` makes of it.
Known ZeroGradient::add(Operation *op, Known a, Known b) {
  if (a.isZero() && b.isZero())
    return zero(a.isNegative() && b.isNegative());
  if (a.isZero())
    std::swap(a, b);
  bool isRoot =
      llvm::any_of(op->getResult(0).getUsers(), llvm::IsaPred<math::SqrtOp>);
  // What a root is taken of is no -0.
  if (b.kind == Known::MinusZero || (b.isZero() && isRoot))
    return a;
  return {};
}

Known ZeroGradient::infer(Operation *op) {
  SmallVector<Known> in =
      llvm::map_to_vector(op->getOperands(), [&](Value v) { return of(v); });
  auto negated = [](Known value) {
    return value.isZero() ? zero(!value.isNegative()) : Known();
  };
  auto isKnown = [](Known value) {
    return value.kind != Known::Nothing && value.kind != Known::Old;
  };
  if (isa<arith::MulFOp>(op))
    return isKnown(in[0]) && isKnown(in[1]) &&
                   (in[0].isZero() || in[1].isZero())
               ? zero(in[0].isNegative() != in[1].isNegative())
               : Known();
  if (isa<arith::DivFOp>(op))
    return in[0].isZero() && in[1].kind == Known::Positive ? in[0] : Known();
  if (isa<arith::NegFOp>(op))
    return negated(in[0]);
  if (isa<arith::SubFOp>(op))
    return in[1].isZero() ? add(op, in[0], negated(in[1])) : Known();
  if (!isa<arith::AddFOp>(op))
    return {};
  // A root, which is zero or more, and a positive constant.
  for (unsigned i : {0, 1})
    if (in[i].kind == Known::Positive &&
        op->getOperand(1 - i).getDefiningOp<math::SqrtOp>())
      return in[i];
  return in[0].isZero() || in[1].isZero() ? add(op, in[0], in[1]) : Known();
}

bool ZeroGradient::changesNothing() {
  for (Operation &op : update.getBody()->without_terminator())
    if (op.getNumResults() == 1)
      known[op.getResult(0)] = infer(&op);
  for (auto [i, next] :
       llvm::enumerate(update.getBody()->getTerminator()->getOperands()))
    if (Known now = of(next); now.kind != Known::Old || now.init != i)
      return false;
  return true;
}

bool plait::keepsAtZeroGradient(linalg::GenericOp update, OpOperand *gradient) {
  return ZeroGradient(update, gradient).changesNothing();
}
