// RUN: plait-opt %s -split-input-file -verify-diagnostics -train-forward-fusion

// A decision that can no longer be obeyed is an error, not a miscompile.

func.func @new_value_used(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  // expected-error@+1 {{cannot wait for the next step: its new value is used in this one, by 'arith.negf'}}
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  %n = arith.negf %w1 : tensor<4xf32>
  return %n, %w1 : tensor<4xf32>, tensor<4xf32>
}

// -----

func.func @parameter_is_no_argument(%g: tensor<4xf32>) -> tensor<4xf32> attributes {train.step} {
  %w = tensor.empty() : tensor<4xf32>
  // expected-error@+1 {{cannot wait for the next step: its parameter and states must be arguments with roles}}
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  return %w1 : tensor<4xf32>
}

// -----

func.func private @step_flush()
// expected-error@+1 {{forward fusion would write @step_flush, which exists}}
func.func @step(%w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  return %w1 : tensor<4xf32>
}

// -----

// expected-error@+1 {{forward fusion needs a step of one block}}
func.func @two_blocks(%w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  cf.br ^bb1
^bb1:
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  return %w1 : tensor<4xf32>
}
