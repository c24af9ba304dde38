// A clip by the norm of all gradients whose scale is a number that the scaling
// ops capture. Both updates depend on both gradients; they were said to be in one
// loop nest with their own.

// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-schedule{policy=backward})' --remarks-filter='train-.*' --remark-format=emitRemark 2>&1 >/dev/null \
// RUN:   | FileCheck %s --implicit-check-not='in one loop nest'
// RUN: plait-run %s --random-inputs -n 5 --compare | FileCheck %s --check-prefix=BITS

// CHECK: update of "w" waits for 'linalg.generic', which depends on the gradients of 1 other parameter; it stays after them (policy=forward can place it)
// CHECK: update of "u" waits for 'linalg.generic', which depends on the gradients of 1 other parameter; it stays after them (policy=forward can place it)
// BITS-COUNT-3: equal bit for bit

#id = affine_map<(i,j)->(i,j)>
#sc = affine_map<(i,j)->()>
func.func @step(%w: tensor<64x64xf32> {train.role = #train.param<"w">}, %u: tensor<64x64xf32> {train.role = #train.param<"u">}, %x: tensor<64x64xf32> {train.role = #train.input<"x">}) -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<64x64xf32> {train.role = #train.next<"w">}, tensor<64x64xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %h = linalg.matmul ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %y = linalg.matmul ins(%h, %u : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<64x64xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %du = linalg.matmul ins(%h, %y : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %dw = linalg.matmul ins(%x, %y : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %n0 = linalg.generic {indexing_maps=[#id,#id,#sc], iterator_types=["reduction","reduction"]} ins(%du, %dw : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z0 : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %aa = arith.mulf %a, %a : f32
    %bb = arith.mulf %b, %b : f32
    %s = arith.addf %aa, %bb : f32
    %r = arith.addf %o, %s : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %n1 = tensor.extract %n0[] : tensor<f32>
  %n2 = math.sqrt %n1 : f32
  %one = arith.constant 1.0 : f32
  %q = arith.divf %one, %n2 : f32
  %k = arith.minimumf %q, %one : f32
  %gu = linalg.generic {indexing_maps=[#id,#id], iterator_types=["parallel","parallel"]} ins(%du : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %k : f32
    linalg.yield %m : f32
  } -> tensor<64x64xf32>
  %gw = linalg.generic {indexing_maps=[#id,#id], iterator_types=["parallel","parallel"]} ins(%dw : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %k : f32
    linalg.yield %m : f32
  } -> tensor<64x64xf32>
  %w1 = train.sgd ins(%gw : tensor<64x64xf32>) outs(%w : tensor<64x64xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%gu : tensor<64x64xf32>) outs(%u : tensor<64x64xf32>) {lr = 0.1 : f64}
  return %loss, %w1, %u1 : tensor<f32>, tensor<64x64xf32>, tensor<64x64xf32>
}
