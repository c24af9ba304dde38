// --compare looks at every output of every step. This step is no good: one
// output adds to what was in its buffer before, which is what an earlier
// schedule left there. Loss and parameter are equal all the same.

// RUN: not plait-run %s --random-inputs -n 3 --block=3 --compare | FileCheck %s
// CHECK:      baseline {{.*}} equal bit for bit
// CHECK-NEXT: backward {{.*}} DIFFERS in left of step 1
// CHECK-NEXT: forward {{.*}} DIFFERS in left of step 2

func.func @step(%w: tensor<4xf32> {train.role = #train.param<"w">}, %x: tensor<4xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<4xf32> {train.role = #train.output<"left">},
        tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %loss = linalg.reduce { arith.addf } ins(%w : tensor<4xf32>) outs(%z0 : tensor<f32>) dimensions = [0]
  %e = tensor.empty() : tensor<4xf32>
  %left = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]} outs(%e : tensor<4xf32>) {
  ^bb0(%o: f32):
    %c1 = arith.constant 1.0 : f32
    %r = arith.addf %o, %c1 : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  %w1 = train.sgd ins(%x : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %loss, %left, %w1 : tensor<f32>, tensor<4xf32>, tensor<4xf32>
}
