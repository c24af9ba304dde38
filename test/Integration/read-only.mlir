// What no result replaces is the same in the next step, though an op has it for
// a destination: it is not done in place. Once, the buffers were overwritten.

// A step that drops the momentum it makes: the momentum stays 0.

// RUN: plait-run %s --random-inputs -n 4 --schedule=baseline | FileCheck %s
// RUN: plait-run %s --random-inputs -n 4 --block=4 --compare | FileCheck %s --check-prefix=COMPARE
// CHECK: loss 0.000000
// COMPARE-COUNT-3: equal bit for bit

// An evaluation that adds to the parameter: training goes on with the old one.

// RUN: rm -rf %t && mkdir %t
// RUN: plait-run %s --random-inputs -n 4 --results=%t/plain.safetensors
// RUN: plait-run %s --random-inputs -n 4 --results=%t/judged.safetensors --eval=@eval --eval-every=1 | FileCheck %s --check-prefix=EVAL
// RUN: cmp %t/plain.safetensors %t/judged.safetensors
// EVAL-COUNT-4: eval metric

func.func @step(
    %w: tensor<16x16xf32> {train.role = #train.param<"w">}, %m: tensor<16x16xf32> {train.role = #train.state<"w", "momentum_buffer">},
    %i: tensor<f32> {train.role = #train.state<"w", "initialized">}, %x: tensor<16x16xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<16x16xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16x16xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<16x16xf32>) -> tensor<16x16xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%x, %m : tensor<16x16xf32>, tensor<16x16xf32>) outs(%z : tensor<16x16xf32>) -> tensor<16x16xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<16x16xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul ins(%x, %w : tensor<16x16xf32>, tensor<16x16xf32>) outs(%z : tensor<16x16xf32>) -> tensor<16x16xf32>
  %w1:3 = train.sgd ins(%dw : tensor<16x16xf32>) outs(%w, %m, %i : tensor<16x16xf32>, tensor<16x16xf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, momentum = 0.9 : f64}
  return %loss, %w1#0 : tensor<f32>, tensor<16x16xf32>
}

func.func @eval(%w: tensor<16x16xf32> {train.role = #train.param<"w">})
    -> (tensor<f32> {train.role = #train.output<"metric">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %c = tensor.empty() : tensor<16x16xf32>
  %x = linalg.fill ins(%c0 : f32) outs(%c : tensor<16x16xf32>) -> tensor<16x16xf32>
  %x1 = linalg.exp ins(%x : tensor<16x16xf32>) outs(%c : tensor<16x16xf32>) -> tensor<16x16xf32>
  %y = linalg.matmul ins(%x1, %x1 : tensor<16x16xf32>, tensor<16x16xf32>) outs(%w : tensor<16x16xf32>) -> tensor<16x16xf32>
  %l = linalg.reduce { arith.addf } ins(%y : tensor<16x16xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  return %l : tensor<f32>
}
