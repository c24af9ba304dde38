//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Conversions from and to bfloat16 become integer arithmetic. Few processors have
// instructions for them, those there are flush denormals, and the functions that
// LLVM calls instead are in recent runtime libraries only.
//
// It decides nothing about arithmetic on bfloat16: upstream's passes, which run
// before, compute it in f32. They allow that a rounding between two ops is left
// out; that permission is withdrawn here.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINEXPANDBFLOAT16
#include "plait/Passes.h.inc"
} // namespace plait

/// `type`, a scalar or a vector, with another element type.
static Type withElement(Type type, Type element) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? shaped.clone(element) : element;
}

/// An f32 near `value`, an f64, from which a bfloat16 is rounded as from `value`
/// itself: rounded to odd, so that what is lost can still be seen.
static Value roundToOdd(OpBuilder &b, Location loc, Value value) {
  Type f64 = value.getType(), f32 = withElement(f64, b.getF32Type()),
       i32 = withElement(f64, b.getI32Type());
  Value near = arith::TruncFOp::create(b, loc, f32, value);
  Value back = arith::ExtFOp::create(b, loc, f64, near);
  // False for NaN, which is no less NaN with its lowest bit.
  Value inexact =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ONE, back, value);
  // The nearest one away from zero: one step back. Infinity becomes the largest
  // number, of which the nearest bfloat16 is infinity again.
  Value above = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT,
                                      math::AbsFOp::create(b, loc, back),
                                      math::AbsFOp::create(b, loc, value));
  Value bits = arith::BitcastOp::create(b, loc, i32, near);
  Value below = arith::SubIOp::create(
      b, loc, bits, arith::ExtUIOp::create(b, loc, i32, above));
  Value odd = arith::OrIOp::create(
      b, loc, below, arith::ExtUIOp::create(b, loc, i32, inexact));
  return arith::BitcastOp::create(b, loc, f32, odd);
}

namespace {
/// f64 -> bf16 by f32, which is what upstream's patterns know.
struct TruncateF64 : OpRewritePattern<arith::TruncFOp> {
  using Base::Base;
  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getIn()).isF64() ||
        !getElementTypeOrSelf(op.getOut()).isBF16())
      return rewriter.notifyMatchFailure(op, "is not from f64 to bf16");
    Value near = roundToOdd(rewriter, op.getLoc(), op.getIn());
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, op.getType(), near);
    return success();
  }
};

/// bf16 -> f64 by f32, both exact.
struct ExtendToF64 : OpRewritePattern<arith::ExtFOp> {
  using Base::Base;
  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getIn()).isBF16() ||
        !getElementTypeOrSelf(op.getOut()).isF64())
      return rewriter.notifyMatchFailure(op, "is not from bf16 to f64");
    Type f32 = withElement(op.getType(), rewriter.getF32Type());
    Value wide = arith::ExtFOp::create(rewriter, op.getLoc(), f32, op.getIn());
    rewriter.replaceOpWithNewOp<arith::ExtFOp>(op, op.getType(), wide);
    return success();
  }
};

struct ExpandBFloat16 : plait::impl::TrainExpandBFloat16Base<ExpandBFloat16> {
  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (auto truncate = dyn_cast<arith::TruncFOp>(op))
        truncate.removeFastmathAttr();
      if (auto extend = dyn_cast<arith::ExtFOp>(op))
        extend.removeFastmathAttr();
    });
    // Neither of the walks folds.
    RewritePatternSet byF32(&getContext());
    byF32.add<TruncateF64, ExtendToF64>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(byF32));
    RewritePatternSet expand(&getContext());
    arith::populateExpandBFloat16Patterns(expand);
    walkAndApplyPatterns(getOperation(), std::move(expand));
  }
};
} // namespace
