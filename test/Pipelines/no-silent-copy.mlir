// No parameter is copied without a word.

// DEFINE: %{policy} = backward
// DEFINE: %{buffers} = plait-opt %s -split-input-file --pass-pipeline='builtin.module(plait-to-llvm{policy=%{policy}})' --mlir-print-ir-before=train-finalize-abi --remarks-filter='train-(order|finalize).*' --remark-format=emitRemark -o /dev/null 2>&1
// RUN: %{buffers} | FileCheck %s --implicit-check-not=memref.copy --implicit-check-not=Remark=
// REDEFINE: %{policy} = baseline
// RUN: %{buffers} | FileCheck %s --implicit-check-not=memref.copy --implicit-check-not=Remark=

// An update in front of a reader of the old value moves behind it.

// CHECK-LABEL: func.func @early_update(
// CHECK:         linalg.matmul ins(%arg1, %arg0
// CHECK:         arith.subf
// CHECK:         return %{{.*}}, %arg0
func.func @early_update(
    %w: tensor<64x64xf32> {train.role = #train.param<"w">}, %dy: tensor<64x64xf32> {train.role = #train.input<"dy">})
    -> (tensor<64x64xf32> {train.role = #train.output<"dx">}, tensor<64x64xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %w1 = train.sgd ins(%dy : tensor<64x64xf32>) outs(%w : tensor<64x64xf32>) {lr = 0.1 : f64}
  %dx = linalg.matmul ins(%dy, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  return %dx, %w1 : tensor<64x64xf32>, tensor<64x64xf32>
}

// -----

// One of two tensors, by a flag, is computed element by element.

// CHECK-LABEL: func.func @selection(
// CHECK:         arith.select
// CHECK-DAG:     linalg.matmul
// CHECK-DAG:     arith.subf
// CHECK:         return %{{.*}}, %arg0
func.func @selection(
    %w: tensor<64x64xf32> {train.role = #train.param<"w">}, %dy: tensor<64x64xf32> {train.role = #train.input<"dy">}, %c: tensor<i1> {train.role = #train.input<"c">})
    -> (tensor<64x64xf32> {train.role = #train.output<"dx">}, tensor<64x64xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %cc = tensor.extract %c[] : tensor<i1>
  %v = scf.if %cc -> tensor<64x64xf32> {
    scf.yield %w : tensor<64x64xf32>
  } else {
    scf.yield %dy : tensor<64x64xf32>
  }
  %dx = linalg.matmul ins(%dy, %v : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %w1 = train.sgd ins(%dy : tensor<64x64xf32>) outs(%w : tensor<64x64xf32>) {lr = 0.1 : f64}
  return %dx, %w1 : tensor<64x64xf32>, tensor<64x64xf32>
}

// -----

// A branch that yields the parameter or something new copies it, and a remark
// says so. Who reads the result comes before the update, as any reader.

// CHECK-LABEL: func.func @branch(
// CHECK:         scf.if
// CHECK:           memref.copy %arg0, %
// CHECK:         linalg.matmul
// CHECK:         arith.subf
// CHECK:         return %{{.*}}, %arg0
// CHECK: remark: [Missed] copy | Category:train-finalize-abi | Function=w | Remark="the whole of #train.param<"w"> is copied in each step: its old value is wanted beside the next one, or as a tensor of its own"
func.func @branch(
    %w: tensor<64x64xf32> {train.role = #train.param<"w">}, %dy: tensor<64x64xf32> {train.role = #train.input<"dy">}, %c: tensor<i1> {train.role = #train.input<"c">})
    -> (tensor<64x64xf32> {train.role = #train.output<"dx">}, tensor<64x64xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %cc = tensor.extract %c[] : tensor<i1>
  %v = scf.if %cc -> tensor<64x64xf32> {
    scf.yield %w : tensor<64x64xf32>
  } else {
    %m = linalg.matmul ins(%dy, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
    scf.yield %m : tensor<64x64xf32>
  }
  %w1 = train.sgd ins(%dy : tensor<64x64xf32>) outs(%w : tensor<64x64xf32>) {lr = 0.1 : f64}
  %dx = linalg.matmul ins(%dy, %v : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  return %dx, %w1 : tensor<64x64xf32>, tensor<64x64xf32>
}

// -----

// The old value is returned beside the next one.

// CHECK-LABEL: func.func @both(
// CHECK:         memref.copy %arg0, %
// CHECK:         arith.subf
// CHECK: remark: [Missed] copy | {{.*}} | Function=w | Remark="the whole of #train.param<"w"> is copied in each step
func.func @both(
    %w: tensor<64x64xf32> {train.role = #train.param<"w">}, %dy: tensor<64x64xf32> {train.role = #train.input<"dy">})
    -> (tensor<64x64xf32> {train.role = #train.output<"before">}, tensor<64x64xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%dy : tensor<64x64xf32>) outs(%w : tensor<64x64xf32>) {lr = 0.1 : f64}
  return %w, %w1 : tensor<64x64xf32>, tensor<64x64xf32>
}
