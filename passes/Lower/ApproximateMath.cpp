//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// exp, log, tanh and erf of f32 become arithmetic, which vectors can do. A call
// of the C library computes one element, and keeps the loop around it scalar.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINAPPROXIMATEMATH
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
struct ApproximateMath
    : plait::impl::TrainApproximateMathBase<ApproximateMath> {
  void runOnOperation() override {
    // Those whose error stays within a few units in the last place, and that
    // treat NaN and infinities as the C library does.
    auto isAccurate = [](StringRef name) {
      return name == math::ExpOp::getOperationName() ||
             name == math::LogOp::getOperationName() ||
             name == math::TanhOp::getOperationName() ||
             name == math::ErfOp::getOperationName();
    };
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns, isAccurate);
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isAccurate(op->getName().getStringRef()))
        ops.push_back(op);
    });
    (void)applyOpPatternsGreedily(ops, std::move(patterns),
                                  GreedyRewriteConfig().setStrictness(
                                      GreedyRewriteStrictness::ExistingOps));
  }
};
} // namespace
