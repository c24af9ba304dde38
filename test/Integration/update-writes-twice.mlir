// An update whose second loop goes on where its first one wrote: the loops are not
// merged with that of the state, for then the first would be lost.

// RUN: plait-run %s --random-inputs -n 4 --compare | FileCheck %s
// CHECK-COUNT-3: equal bit for bit

#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(i, j) -> (i, j)>
func.func @step(
    %w: tensor<16x8xf32> {train.role = #train.param<"w">}, %m: tensor<16x8xf32> {train.role = #train.state<"w", "m">},
    %x: tensor<4x16xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<16x8xf32> {train.role = #train.next<"w">}, tensor<16x8xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16x8xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<16x8xf32>) -> tensor<16x8xf32>
  %eb = tensor.empty() : tensor<4x8xf32>
  %zb = linalg.fill ins(%c0 : f32) outs(%eb : tensor<4x8xf32>) -> tensor<4x8xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %h = linalg.matmul ins(%x, %w : tensor<4x16xf32>, tensor<16x8xf32>) outs(%zb : tensor<4x8xf32>) -> tensor<4x8xf32>
  %loss = linalg.reduce { arith.addf } ins(%h : tensor<4x8xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul indexing_maps = [#km, #kn, #mn] ins(%x, %h : tensor<4x16xf32>, tensor<4x8xf32>) outs(%z : tensor<16x8xf32>) -> tensor<16x8xf32>
  %w1:2 = train.update "u" ins(%dw : tensor<16x8xf32>) outs(%w, %m : tensor<16x8xf32>, tensor<16x8xf32>) {
  ^bb0(%g: tensor<16x8xf32>, %wo: tensor<16x8xf32>, %mo: tensor<16x8xf32>):
    %d = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<16x8xf32>) outs(%wo : tensor<16x8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %k = arith.constant 0.99 : f32
      %p = arith.mulf %a, %k : f32
      %r = arith.subf %o, %p : f32
      linalg.yield %r : f32
    } -> tensor<16x8xf32>
    %wn = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<16x8xf32>) outs(%d : tensor<16x8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %k = arith.constant 0.01 : f32
      %p = arith.mulf %a, %k : f32
      %r = arith.subf %o, %p : f32
      linalg.yield %r : f32
    } -> tensor<16x8xf32>
    %mn = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<16x8xf32>) outs(%mo : tensor<16x8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %k = arith.constant 0.9 : f32
      %p = arith.mulf %o, %k : f32
      %r = arith.addf %p, %a : f32
      linalg.yield %r : f32
    } -> tensor<16x8xf32>
    train.yield %wn, %mn : tensor<16x8xf32>, tensor<16x8xf32>
  } : tensor<16x8xf32>, tensor<16x8xf32>
  return %loss, %w1#0, %w1#1 : tensor<f32>, tensor<16x8xf32>, tensor<16x8xf32>
}
