// A step that another function of the module calls; its update keeps it from
// being inlined.
func.func @step(%w: tensor<4x4xf32> {train.role = #train.param<"w">}, %g: tensor<4x4xf32> {train.role = #train.input<"g">})
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}
func.func @twice(%w: tensor<4x4xf32>, %g: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %once = func.call @step(%w, %g) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %twice = func.call @step(%once, %g) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %twice : tensor<4x4xf32>
}
