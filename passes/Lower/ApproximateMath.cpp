//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// exp, log, tanh, erf, log1p and expm1 of f32 become arithmetic, which vectors can
// do. A call of the C library computes one element, and keeps the loop around it
// scalar. log1p and expm1 of f64 become log and exp, with what is lost where 1 is
// added put right; the conversion to LLVM would just add the 1.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINAPPROXIMATEMATH
#include "plait/Passes.h.inc"
} // namespace plait

/// log(1 + x) = log(u) * x / (u - 1) with u = 1 + x rounded: what u lacks of x is
/// in the quotient as well. Where u is 1 it is x, where u is infinite log(u).
static Value expandLog1p(math::Log1pOp op, ImplicitLocOpBuilder &b) {
  Value x = op.getOperand();
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(b, b.getFloatAttr(x.getType(), value));
  };
  auto equal = [&](Value lhs, Value rhs) -> Value {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, lhs, rhs);
  };
  Value one = constant(1);
  Value u = arith::AddFOp::create(b, x, one);
  Value log = math::LogOp::create(b, u);
  Value lost = arith::DivFOp::create(b, x, arith::SubFOp::create(b, u, one));
  Value result = arith::MulFOp::create(b, log, lost);
  Value infinite = equal(log, u);
  result = arith::SelectOp::create(b, infinite, log, result);
  return arith::SelectOp::create(b, equal(u, one), x, result);
}

/// exp(x) - 1 = (u - 1) * x / log(u) with u = exp(x) rounded, in the same way;
/// but for small u, where the difference is exact enough, and infinite ones.
static Value expandExpm1(math::ExpM1Op op, ImplicitLocOpBuilder &b) {
  Value x = op.getOperand();
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(b, b.getFloatAttr(x.getType(), value));
  };
  auto compare = [&](arith::CmpFPredicate predicate, Value lhs,
                     Value rhs) -> Value {
    return arith::CmpFOp::create(b, predicate, lhs, rhs);
  };
  Value one = constant(1);
  Value u = math::ExpOp::create(b, x);
  Value less = arith::SubFOp::create(b, u, one);
  Value lost = arith::DivFOp::create(b, x, math::LogOp::create(b, u));
  Value result = arith::MulFOp::create(b, less, lost);
  Value far = compare(arith::CmpFPredicate::OGT, math::AbsFOp::create(b, x),
                      constant(1));
  result = arith::SelectOp::create(b, far, less, result);
  Value unchanged = compare(arith::CmpFPredicate::OEQ, u, one);
  return arith::SelectOp::create(b, unchanged, x, result);
}

namespace {
template <typename Op, Value (*expand)(Op, ImplicitLocOpBuilder &)>
struct ExpandDouble : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!op.getType().isF64())
      return rewriter.notifyMatchFailure(op, "not a scalar of f64");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, expand(op, b));
    return success();
  }
};

struct ApproximateMath
    : plait::impl::TrainApproximateMathBase<ApproximateMath> {
  void runOnOperation() override {
    // Those whose error stays within a few units in the last place, and that
    // treat NaN and infinities as the C library does.
    auto isAccurate = [](StringRef name) {
      return name == math::ExpOp::getOperationName() ||
             name == math::LogOp::getOperationName() ||
             name == math::TanhOp::getOperationName() ||
             name == math::ErfOp::getOperationName() ||
             name == math::Log1pOp::getOperationName() ||
             name == math::ExpM1Op::getOperationName();
    };
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns, isAccurate);
    patterns.add<ExpandDouble<math::Log1pOp, expandLog1p>,
                 ExpandDouble<math::ExpM1Op, expandExpm1>>(&getContext());
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isAccurate(op->getName().getStringRef()))
        ops.push_back(op);
    });
    (void)applyOpPatternsGreedily(
        ops, std::move(patterns),
        GreedyRewriteConfig().setStrictness(
            GreedyRewriteStrictness::ExistingAndNewOps));
  }
};
} // namespace
