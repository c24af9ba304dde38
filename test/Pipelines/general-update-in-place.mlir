// RUN: plait-opt %s -pass-pipeline='builtin.module(plait-schedule,train-localize-inits,train-fuse-clusters,train-parallelize,canonicalize,train-localize-inits,train-materialize-next,eliminate-empty-tensors,one-shot-bufferize{bufferize-function-boundaries=1 function-boundary-type-conversion=identity-layout-map allow-return-allocs-from-loops=1},cse,canonicalize)' \
// RUN:   | FileCheck %s
// As decay-in-place.mlir: the example of train.update in TrainOps.td reads the
// parameter by ins and writes it by outs; once tiled, both must be the same
// panel of shared_outs, or a panel is copied in each iteration.

// CHECK-LABEL: func.func @step
// CHECK-NOT:     memref.alloc() {{.*}}memref<64x16xf32>
// CHECK-NOT:     memref.copy
// CHECK:         return
func.func @step(
    %w: tensor<64x16xf32> {train.role = #train.param<"w">}, %x: tensor<8x16xf32>, %dy: tensor<64x8xf32>)
    -> (tensor<64x16xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x16xf32>
  %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
  %dw = linalg.matmul ins(%dy, %x : tensor<64x8xf32>, tensor<8x16xf32>) outs(%f : tensor<64x16xf32>) -> tensor<64x16xf32>
  %w1 = train.update "signsgd" ins(%dw : tensor<64x16xf32>) outs(%w : tensor<64x16xf32>) {
  ^bb0(%gt: tensor<64x16xf32>, %wt: tensor<64x16xf32>):
    %n = linalg.map ins(%gt, %wt : tensor<64x16xf32>, tensor<64x16xf32>) outs(%wt : tensor<64x16xf32>)
      (%gi: f32, %wi: f32, %o: f32) {
        %lr = arith.constant 1.0e-2 : f32
        %s = math.copysign %lr, %gi : f32
        %d = arith.subf %wi, %s : f32
        linalg.yield %d : f32
      }
    train.yield %n : tensor<64x16xf32>
  } : tensor<64x16xf32>
  return %w1 : tensor<64x16xf32>
}
