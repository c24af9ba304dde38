// RUN: plait-opt %s -split-input-file --pass-pipeline='builtin.module(plait-to-llvm{policy=backward})' \
// RUN:   --mlir-print-ir-before=train-finalize-abi -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --implicit-check-not=memref.copy --implicit-check-not='memref.alloc() {{.*}}memref<64x16xf32>'
// As decay-in-place.mlir: the example of train.update in TrainOps.td reads the
// parameter by ins and writes it by outs; once tiled, both must be the same
// panel of shared_outs, or a panel is copied in each iteration.

// CHECK-LABEL: func.func @step
// CHECK:         scf.forall
// CHECK:           linalg.matmul
// CHECK:           math.copysign
// CHECK:         return %arg0
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

// -----

// A region that writes to an empty tensor: the whole parameter was copied, for
// the panels to be computed from.

// CHECK-LABEL: func.func @other_destination
// CHECK:         scf.forall
// CHECK:           linalg.matmul
// CHECK:           math.copysign
// CHECK:         return %arg0
func.func @other_destination(
    %w: tensor<64x16xf32> {train.role = #train.param<"w">}, %x: tensor<8x16xf32>, %dy: tensor<64x8xf32>)
    -> (tensor<64x16xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x16xf32>
  %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
  %dw = linalg.matmul ins(%dy, %x : tensor<64x8xf32>, tensor<8x16xf32>) outs(%f : tensor<64x16xf32>) -> tensor<64x16xf32>
  %w1 = train.update "signsgd" ins(%dw : tensor<64x16xf32>) outs(%w : tensor<64x16xf32>) {
  ^bb0(%gt: tensor<64x16xf32>, %wt: tensor<64x16xf32>):
    %et = tensor.empty() : tensor<64x16xf32>
    %n = linalg.map ins(%gt, %wt : tensor<64x16xf32>, tensor<64x16xf32>) outs(%et : tensor<64x16xf32>)
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

// -----

// The gradient is the next value: its op is outside of the update, and is left
// as it is.

// CHECK-LABEL: func.func @gradient_is_next
// CHECK:         linalg.matmul
// CHECK:         return %arg0
func.func @gradient_is_next(
    %w: tensor<64x16xf32> {train.role = #train.param<"w">}, %x: tensor<8x16xf32>, %dy: tensor<64x8xf32>)
    -> (tensor<64x16xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x16xf32>
  %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
  %dw = linalg.matmul ins(%dy, %x : tensor<64x8xf32>, tensor<8x16xf32>) outs(%f : tensor<64x16xf32>) -> tensor<64x16xf32>
  %w1 = train.update "assign" ins(%dw : tensor<64x16xf32>) outs(%w : tensor<64x16xf32>) {
  ^bb0(%gt: tensor<64x16xf32>, %wt: tensor<64x16xf32>):
    train.yield %gt : tensor<64x16xf32>
  } : tensor<64x16xf32>
  return %w1 : tensor<64x16xf32>
}
