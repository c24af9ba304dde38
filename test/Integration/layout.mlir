// A layout is the compiler's own affair: what a user writes about one is refused.

// RUN: split-file %s %t
// RUN: not plait-run %t/blocked.mlir --random-inputs 2>&1 | FileCheck %s --check-prefix=BLOCKED
// BLOCKED: 'w' has 'train.blocked_dim', which the compiler writes; give the step with row-major parameters
// RUN: not plait-run %t/taken.mlir --random-inputs 2>&1 | FileCheck %s --check-prefix=TAKEN
// TAKEN: has the name of a function that the compiler adds; give it one that does not begin with plait_
// RUN: plait-run %t/taken.mlir --random-inputs --layout=row-major -n 2
// RUN: not plait-run %t/taken.mlir --random-inputs --layout=columns 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: unknown --layout=columns; expected auto or row-major
// RUN: not plait-opt %t/taken.mlir --pass-pipeline='builtin.module(train-block-parameters{block=1})' 2>&1 | FileCheck %s --check-prefix=ONE
// ONE: train-block-parameters: block must be above 1, not 1

//--- blocked.mlir
func.func @step(%w: tensor<4x160x32xf32> {train.blocked_dim = 0 : i64, train.role = #train.param<"w">})
    -> (tensor<4x160x32xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%w : tensor<4x160x32xf32>) outs(%w : tensor<4x160x32xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x160x32xf32>
}

//--- taken.mlir
// Three shapes, for every machine's blocks.
func.func @plait_import_4_160_32_dim0() { return }
func.func @plait_import_8_160_16_dim0() { return }
func.func @plait_import_16_160_8_dim0() { return }
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @step(%w: tensor<128x160xf32> {train.role = #train.param<"w">},
                %x: tensor<16x160xf32> {train.role = #train.input<"x">})
    -> (tensor<128x160xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %ey = tensor.empty() : tensor<16x128xf32>
  %zy = linalg.fill ins(%zero : f32) outs(%ey : tensor<16x128xf32>) -> tensor<16x128xf32>
  %y = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %w : tensor<16x160xf32>, tensor<128x160xf32>) outs(%zy : tensor<16x128xf32>) -> tensor<16x128xf32>
  %ew = tensor.empty() : tensor<128x160xf32>
  %zw = linalg.fill ins(%zero : f32) outs(%ew : tensor<128x160xf32>) -> tensor<128x160xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, #mn]
      ins(%y, %x : tensor<16x128xf32>, tensor<16x160xf32>) outs(%zw : tensor<128x160xf32>) -> tensor<128x160xf32>
  %w1 = train.sgd ins(%dw : tensor<128x160xf32>) outs(%w : tensor<128x160xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<128x160xf32>
}
