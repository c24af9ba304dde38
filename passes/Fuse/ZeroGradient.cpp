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
/// What is known of a value of an update's body where the gradient is zero.
struct Known {
  enum Kind { Nothing, Zero, Positive, Old } kind = Nothing;
  /// Of Old: the value that this destination had before.
  unsigned init = 0;

  bool isZero() const { return kind == Zero; }
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

  linalg::GenericOp update;
  DenseMap<Value, Known> known;
};
} // namespace

ZeroGradient::ZeroGradient(linalg::GenericOp update, OpOperand *gradient)
    : update(update) {
  known[update.getMatchingBlockArgument(gradient)] = {Known::Zero};
  for (auto [i, arg] : llvm::enumerate(update.getRegionOutputArgs()))
    known[arg] = {Known::Old, unsigned(i)};
}

Known ZeroGradient::of(Value value) {
  APFloat constant(0.0f);
  if (matchPattern(value, m_ConstantFloat(&constant)))
    return constant.isZero() ? Known{Known::Zero}
           : constant.isNegative() || !constant.isFinite()
               ? Known()
               : Known{Known::Positive};
  return known.lookup(value);
}

Known ZeroGradient::infer(Operation *op) {
  SmallVector<Known> in =
      llvm::map_to_vector(op->getOperands(), [&](Value v) { return of(v); });
  if (isa<arith::MulFOp>(op))
    return in[0].isZero() || in[1].isZero() ? Known{Known::Zero} : Known();
  if (isa<arith::DivFOp>(op))
    return in[0].isZero() && in[1].kind == Known::Positive ? Known{Known::Zero}
                                                           : Known();
  if (isa<arith::NegFOp, math::AbsFOp>(op))
    return in[0].isZero() ? in[0] : Known();
  if (isa<arith::SubFOp>(op))
    return in[1].isZero() ? in[0] : Known();
  if (isa<arith::AddFOp>(op)) {
    // A root that is zero or more, and a positive constant.
    for (unsigned i : {0, 1}) {
      if (in[i].isZero())
        return in[1 - i];
      if (in[i].kind == Known::Positive &&
          op->getOperand(1 - i).getDefiningOp<math::SqrtOp>())
        return in[i];
    }
  }
  return {};
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
