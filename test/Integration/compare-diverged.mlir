// Schedules that agree about a loss that is no number have shown little.

// RUN: plait-run %s --random-inputs -n 4 --block=4 --compare 2>&1 | FileCheck %s
// CHECK: warning: the loss is not finite from step 1 on; what is compared after that proves little
// CHECK-COUNT-3: equal bit for bit

func.func @step(%w: tensor<8xf32> {train.role = #train.param<"w">}, %x: tensor<8xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %zero = arith.constant dense<0.0> : tensor<8xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %q = arith.divf %x, %zero : tensor<8xf32>
  %d = arith.subf %q, %q : tensor<8xf32>
  %loss = linalg.reduce { arith.addf } ins(%d : tensor<8xf32>) outs(%z0 : tensor<f32>) dimensions = [0]
  %w1 = train.sgd ins(%d : tensor<8xf32>) outs(%w : tensor<8xf32>) {lr = 0.1 : f64}
  return %loss, %w1 : tensor<f32>, tensor<8xf32>
}
