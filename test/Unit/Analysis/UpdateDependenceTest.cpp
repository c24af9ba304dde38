//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// UpdateDependence: where each window starts and ends, and why.
//
//===----------------------------------------------------------------------===//

#include "plait/Analysis/UpdateDependence.h"

#include "plait/Analysis/Aliases.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace {

/// Two square parameters, and every value a step of them needs.
constexpr llvm::StringLiteral kHead = R"(
func.func private @scalar(tensor<4x4xf32>) -> tensor<f32>
func.func @step(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">},
    %m: tensor<4x4xf32> {train.role = #train.state<"w", "exp_avg">},
    %v: tensor<4x4xf32> {train.role = #train.state<"w", "exp_avg_sq">},
    %t: tensor<f32> {train.role = #train.state<"w", "step">},
    %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %c: i1)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
)";

struct UpdateDependenceTest : testing::Test {
  UpdateDependenceTest() {
    context.loadDialect<TrainDialect, arith::ArithDialect, func::FuncDialect,
                        linalg::LinalgDialect, math::MathDialect,
                        scf::SCFDialect, tensor::TensorDialect>();
  }

  /// Parses `body`, and analyses it.
  void parse(llvm::StringRef body) {
    module = parseSourceString<ModuleOp>((kHead + body + "}").str(), &context);
    ASSERT_TRUE(module);
    dependence.emplace(*module);
  }

  UpdateOpInterface update(unsigned i = 0) {
    return dependence->getUpdates()[i];
  }
  UpdateWindow window(unsigned i = 0) {
    return dependence->getWindow(update(i));
  }
  /// The attribute "tag" of the op at an end of a window.
  static std::string tag(const Bound &bound) {
    auto name = bound.op ? bound.op->getAttrOfType<StringAttr>("tag") : nullptr;
    return name ? name.str() : "";
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::optional<UpdateDependence> dependence;
};

// torch's order: dX, which reads W, comes before dW.
TEST_F(UpdateDependenceTest, GradientBoundsTheStartInTorchOrder) {
  parse(R"(
    %dx = linalg.matmul {tag = "dx"} ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %dw = linalg.matmul {tag = "dw"} ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %dx : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(window().earliest), "dw");
  EXPECT_EQ(window().earliest.reason, BoundReason::Operand);
  EXPECT_EQ(window().latest.reason, BoundReason::FirstUse);
  EXPECT_TRUE(window().isLegal());
}

// JAX's order: dW before dX. The gradient is there, W is still read.
TEST_F(UpdateDependenceTest, OldReaderBoundsTheStartInJaxOrder) {
  parse(R"(
    %dw = linalg.matmul {tag = "dw"} ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %dx = linalg.matmul {tag = "dx"} ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %dx : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(window().earliest), "dx");
  EXPECT_EQ(window().earliest.reason, BoundReason::OldReader);
  EXPECT_NE(dependence->explain(update()).find("old value read by"),
            std::string::npos);
}

TEST_F(UpdateDependenceTest, ReaderOfAViewReadsTheParameter) {
  parse(R"(
    %dw = linalg.matmul {tag = "dw"} ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %flat = tensor.collapse_shape %w [[0, 1]] : tensor<4x4xf32> into tensor<16xf32>
    %part = tensor.extract_slice %flat[0] [4] [1] : tensor<16xf32> to tensor<4xf32>
    %i = arith.constant 0 : index
    %e = tensor.extract %part[%i] {tag = "view"} : tensor<4xf32>
    %d = tensor.splat %e : tensor<4x4xf32>
    %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %d : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(window().earliest), "view");
  EXPECT_EQ(collectAliases(update().getParam()).size(), 3u);
}

TEST_F(UpdateDependenceTest, ReaderInARegionCountsAsTheOpThatHoldsIt) {
  parse(R"(
    %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %r = scf.if %c -> tensor<4x4xf32> {
      %a = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
      scf.yield %a : tensor<4x4xf32>
    } else {
      scf.yield %x : tensor<4x4xf32>
    } {tag = "if"}
    %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %r : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(window().earliest), "if");
  EXPECT_EQ(window().earliest.reason, BoundReason::OldReader);
}

TEST_F(UpdateDependenceTest, TiedWeightWaitsForTheSumAndForAllReaders) {
  parse(R"(
    %d1 = linalg.matmul {tag = "d1"} ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %d2 = linalg.matmul {tag = "d2"} ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %dw = arith.addf %d1, %d2 {tag = "sum"} : tensor<4x4xf32>
    %a = linalg.matmul {tag = "first"} ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %b = linalg.matmul {tag = "second"} ins(%a, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %b : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(window().earliest), "second");
  EXPECT_TRUE(dependence->getOtherGradients(update()).empty());
}

// The update may add the contributions itself: it then has two gradients, and
// waits for both. The learning rate is neither.
TEST_F(UpdateDependenceTest, UpdateOfTwoGradientsWaitsForBoth) {
  parse(R"(
    %dw = linalg.matmul {tag = "dw"} ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %lr = func.call @scalar(%x) {tag = "lr"} : (tensor<4x4xf32>) -> tensor<f32>
    %d2 = linalg.matmul {tag = "d2"} ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %n = func.call @scalar(%d2) {tag = "norm"} : (tensor<4x4xf32>) -> tensor<f32>
    %w1 = train.update "two" ins(%dw, %d2, %lr : tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>) outs(%w : tensor<4x4xf32>) {
    ^bb0(%a: tensor<4x4xf32>, %b: tensor<4x4xf32>, %r: tensor<f32>, %old: tensor<4x4xf32>):
      train.yield %old : tensor<4x4xf32>
    } : tensor<4x4xf32>
    %u1 = train.sgd ins(%x, %n : tensor<4x4xf32>, tensor<f32>) outs(%u : tensor<4x4xf32>)
    return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(window().earliest), "d2");
  EXPECT_EQ(update().getGradients().size(), 2u);
  ASSERT_EQ(update().getScalars().size(), 1u);
  EXPECT_EQ(update().getScalars()[0].getDefiningOp()->getAttrOfType<StringAttr>(
                "tag"),
            "lr");
  // The second gradient is one on which another update may depend.
  ASSERT_EQ(dependence->getOtherGradients(update(1)).size(), 1u);
  EXPECT_EQ(dependence->getOtherGradients(update(1))[0], "w");
}

// Of inputs of rank 0, the first is the gradient of a parameter of rank 0.
TEST_F(UpdateDependenceTest, ParameterOfRank0HasOneGradient) {
  parse(R"(
    %n = func.call @scalar(%x) : (tensor<4x4xf32>) -> tensor<f32>
    %t1 = train.sgd ins(%n, %n : tensor<f32>, tensor<f32>) outs(%t : tensor<f32>)
    return %w, %u : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(update().getGradients().size(), 1u);
  EXPECT_EQ(update().getScalars().size(), 1u);
}

// Each result has a window of its own; the update's is their meet.
TEST_F(UpdateDependenceTest, StatesHaveWindowsOfTheirOwn) {
  parse(R"(
    %dw = linalg.matmul {tag = "dw"} ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %n = func.call @scalar(%m) {tag = "norm"} : (tensor<4x4xf32>) -> tensor<f32>
    %w1, %m1, %v1, %t1 = train.adam ins(%dw : tensor<4x4xf32>)
        outs(%w, %m, %v, %t : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>) {lr = 0.1 : f64}
    %k = func.call @scalar(%v1) {tag = "use"} : (tensor<4x4xf32>) -> tensor<f32>
    return %w1, %m1 : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(dependence->getWindow(update(), 0).earliest), "dw");
  EXPECT_EQ(tag(dependence->getWindow(update(), 1).earliest), "norm");
  EXPECT_EQ(tag(dependence->getWindow(update(), 2).latest), "use");
  EXPECT_EQ(tag(window().earliest), "norm");
  EXPECT_EQ(tag(window().latest), "use");
}

// Weight decay reads the old W inside the update; a decay outside of it is an
// operand that reads W like any other.
TEST_F(UpdateDependenceTest, WeightDecayOutsideTheUpdateReadsTheOldValue) {
  parse(R"(
    %dw = linalg.matmul {tag = "dw"} ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %g = arith.addf %dw, %w {tag = "decay"} : tensor<4x4xf32>
    %w1 = train.sgd ins(%g : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    %u1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64, weight_decay = 0.1 : f64}
    return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(window(0).earliest), "decay");
  EXPECT_TRUE(window(0).isLegal());
  EXPECT_EQ(tag(window(1).earliest), "dw");
}

TEST_F(UpdateDependenceTest, OldValueThatIsReturnedLeavesNoPosition) {
  parse(R"(
    %w1 = train.sgd ins(%dy : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %w : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(window().earliest.reason, BoundReason::OldEscapes);
  EXPECT_FALSE(window().isLegal());
}

TEST_F(UpdateDependenceTest, GradientFromOutsideIsBoundByTheBlockStart) {
  parse(R"(
    %w1 = train.sgd ins(%dy : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %w1 : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(window().earliest.op, nullptr);
  EXPECT_EQ(window().earliest.reason, BoundReason::BlockStart);
  EXPECT_TRUE(window().isLegal());
}

// A learning rate made from both gradients is what a global norm is.
TEST_F(UpdateDependenceTest, GlobalNormDependsOnTheOtherGradients) {
  parse(R"(
    %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %du = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %nw = func.call @scalar(%dw) : (tensor<4x4xf32>) -> tensor<f32>
    %nu = func.call @scalar(%du) : (tensor<4x4xf32>) -> tensor<f32>
    %lr = arith.addf %nw, %nu {tag = "norm"} : tensor<f32>
    %w1 = train.sgd ins(%dw, %lr : tensor<4x4xf32>, tensor<f32>) outs(%w : tensor<4x4xf32>)
    %u1 = train.sgd ins(%du, %lr : tensor<4x4xf32>, tensor<f32>) outs(%u : tensor<4x4xf32>)
    return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_EQ(tag(window(0).earliest), "norm");
  ASSERT_EQ(dependence->getOtherGradients(update(0)).size(), 1u);
  EXPECT_EQ(dependence->getOtherGradients(update(0))[0], "u");
  EXPECT_EQ(dependence->getOtherGradients(update(1))[0], "w");
  EXPECT_NE(dependence->explain(update(0)).find("1 other parameter"),
            std::string::npos);
}

// A gradient that flows through another parameter's activations is no
// dependence on that parameter's gradient.
TEST_F(UpdateDependenceTest, SharedActivationsAreNoGlobalNorm) {
  parse(R"(
    %dx = linalg.matmul ins(%dy, %u : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %dw = linalg.matmul ins(%dx, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %du = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    %u1 = train.sgd ins(%du : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>)");
  EXPECT_TRUE(dependence->getOtherGradients(update(0)).empty());
  EXPECT_TRUE(dependence->getOtherGradients(update(1)).empty());
}

TEST_F(UpdateDependenceTest, PrintsItsAnswers) {
  parse(R"(
    %w1 = train.sgd ins(%dy : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
    return %w1, %w : tensor<4x4xf32>, tensor<4x4xf32>)");
  std::string text;
  llvm::raw_string_ostream os(text);
  dependence->print(os);
  EXPECT_NE(
      text.find("update of \"w\":\n  result #0 (illegal): after old value "
                "passed on by 'func.return'"),
      std::string::npos)
      << text;
}

} // namespace
