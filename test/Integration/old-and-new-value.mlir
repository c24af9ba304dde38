// A step that gives how far it has moved a parameter takes the old and the new
// value: the copy is right, and the report says why it is there.

// RUN: plait-run %s --random-inputs -n 3 --compare | FileCheck %s
// CHECK-COUNT-3: equal bit for bit
// RUN: plait-run %s --random-inputs -n 1 --schedule=backward --report=%t.json --results=%t.safetensors
// RUN: %python %S/Inputs/check.py %t.json %t.safetensors -- \
// RUN:   "'needs a copy of the old value: \'linalg.generic\' at ' in a['updates'][0]['reason']" \
// RUN:   "np.abs(b['moved']).max() > 0"

func.func @step(
    %w: tensor<8x8xf32> {train.role = #train.param<"w">}, %x: tensor<8x8xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<8x8xf32> {train.role = #train.output<"moved">},
        tensor<8x8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x8xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %dw = linalg.matmul ins(%x, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%z : tensor<8x8xf32>) -> tensor<8x8xf32>
  %loss = linalg.reduce { arith.addf } ins(%dw : tensor<8x8xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %w1 = train.sgd ins(%dw : tensor<8x8xf32>) outs(%w : tensor<8x8xf32>) {lr = 0.1 : f64}
  %moved = arith.subf %w1, %w : tensor<8x8xf32>
  return %loss, %moved, %w1 : tensor<f32>, tensor<8x8xf32>, tensor<8x8xf32>
}
