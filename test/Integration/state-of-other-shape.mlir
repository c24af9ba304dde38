// An update with a state of another shape than the parameter: its loop cannot be
// the parameter's.

// RUN: plait-run %s --random-inputs -n 4 --compare | FileCheck %s
// CHECK-COUNT-3: equal bit for bit

#id = affine_map<(i, j) -> (i, j)>
#id1 = affine_map<(i) -> (i)>
func.func @step(
    %w: tensor<16x8xf32> {train.role = #train.param<"w">}, %m: tensor<8xf32> {train.role = #train.state<"w", "m">},
    %x: tensor<16x8xf32> {train.role = #train.input<"x">})
    -> (tensor<16x8xf32> {train.role = #train.next<"w">}, tensor<8xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %e = tensor.empty() : tensor<16x8xf32>
  %g = linalg.exp ins(%x : tensor<16x8xf32>) outs(%e : tensor<16x8xf32>) -> tensor<16x8xf32>
  %w1:2 = train.update "u" ins(%g : tensor<16x8xf32>) outs(%w, %m : tensor<16x8xf32>, tensor<8xf32>) {
  ^bb0(%gg: tensor<16x8xf32>, %wo: tensor<16x8xf32>, %mo: tensor<8xf32>):
    %wn = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%gg : tensor<16x8xf32>) outs(%wo : tensor<16x8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %r = arith.subf %o, %a : f32
      linalg.yield %r : f32
    } -> tensor<16x8xf32>
    %mn = linalg.generic {indexing_maps = [#id1], iterator_types = ["parallel"]} outs(%mo : tensor<8xf32>) {
    ^bb0(%o: f32):
      %r = arith.addf %o, %o : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    train.yield %wn, %mn : tensor<16x8xf32>, tensor<8xf32>
  } : tensor<16x8xf32>, tensor<8xf32>
  return %w1#0, %w1#1 : tensor<16x8xf32>, tensor<8xf32>
}
