// REQUIRES: mlir-opt
// A stock mlir-opt takes the dialect and the passes from the plugin.

// RUN: mlir-opt %s --load-dialect-plugin=%plait_libs/plait-plugin.so \
// RUN:   --pass-pipeline='builtin.module(func.func(train-place{policy=backward},train-backward-fusion))' \
// RUN:   | FileCheck %s
// RUN: mlir-opt %s --load-dialect-plugin=%plait_libs/plait-plugin.so --load-pass-plugin=%plait_libs/plait-plugin.so \
// RUN:   --pass-pipeline='builtin.module(func.func(train-place{policy=backward},train-backward-fusion),train-localize-inits,train-fuse-clusters)' \
// RUN:   | FileCheck %s --check-prefix=LOOPS

// CHECK-LABEL: func.func @step
// CHECK:         train.cluster <backward>
// CHECK:           linalg.matmul
// CHECK:           train.sgd
// LOOPS-LABEL: func.func @step
// LOOPS:         scf.forall
func.func @step(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %dw = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%f : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}
