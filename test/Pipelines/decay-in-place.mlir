// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{policy=backward})' --mlir-print-ir-before=train-finalize-abi -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --implicit-check-not=memref.copy --implicit-check-not='memref.alloc() {{.*}}memref<64x16xf32>'
// Weight decay that is written out, in front of the update, reads the old
// parameter in the cluster. Where its loop read the parameter itself and not its
// panel of shared_outs, bufferization copied the whole parameter, twice.

// CHECK-LABEL: func.func @step
// CHECK-COUNT-1: arith.subf
// CHECK-NOT:     arith.subf
// CHECK:         return %arg0
func.func @step(
    %w: tensor<64x16xf32> {train.role = #train.param<"w">}, %x: tensor<8x16xf32>, %dy: tensor<64x8xf32>)
    -> (tensor<64x16xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x16xf32>
  %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
  %dw = linalg.matmul ins(%dy, %x : tensor<64x8xf32>, tensor<8x16xf32>) outs(%f : tensor<64x16xf32>) -> tensor<64x16xf32>
  %e2 = tensor.empty() : tensor<64x16xf32>
  %decayed = linalg.add ins(%dw, %w : tensor<64x16xf32>, tensor<64x16xf32>) outs(%e2 : tensor<64x16xf32>) -> tensor<64x16xf32>
  %w1 = train.sgd ins(%decayed : tensor<64x16xf32>) outs(%w : tensor<64x16xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<64x16xf32>
}
