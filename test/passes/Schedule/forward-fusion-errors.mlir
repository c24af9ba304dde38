// RUN: plait-opt %s -split-input-file -verify-diagnostics -train-forward-fusion

// A decision that can no longer be obeyed is an error, not a miscompile.

func.func @new_value_used(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  // expected-error@+1 {{cannot wait for the next step: the new value of "w" is used in the same step, by 'arith.negf', so the update cannot wait}}
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  %n = arith.negf %w1 : tensor<4xf32>
  return %n, %w1 : tensor<4xf32>, tensor<4xf32>
}

// -----

func.func @parameter_is_no_argument(%g: tensor<4xf32>) -> tensor<4xf32> attributes {train.step} {
  %w = tensor.empty() : tensor<4xf32>
  // expected-error@+1 {{cannot wait for the next step: an update whose parameter is no argument with the role #train.param stays where it is}}
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

func.func @two_blocks(%w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  cf.br ^bb1
^bb1:
  // expected-error@+1 {{cannot wait for the next step: update of "w" is not in the step's first block, and stays where it is}}
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  return %w1 : tensor<4xf32>
}

// -----

func.func @in_condition(%w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>, %c: i1)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %r = scf.if %c -> tensor<4xf32> {
    // expected-error@+1 {{cannot wait for the next step: update of "w" is inside 'scf.if'}}
    %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
    scf.yield %w1 : tensor<4xf32>
  } else {
    scf.yield %w : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}

// -----

func.func @new_value_is_output(%w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.output<"copy">}) attributes {train.step} {
  // expected-error@+1 {{cannot wait for the next step: the new value of "w" is result #1 (#train.output<"copy">), too}}
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  return %w1, %w1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// expected-error@+1 {{@called is a training step, and @caller calls it; what a step takes and gives changes when it is compiled, so it is called from outside of its module only}}
func.func @called(%w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  return %w1 : tensor<4xf32>
}
func.func @caller(%w: tensor<4xf32>, %g: tensor<4xf32>) -> tensor<4xf32> {
  // expected-note@+1 {{called here; move the body of @called here instead, or remove @caller from the module}}
  %w1 = call @called(%w, %g) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %w1 : tensor<4xf32>
}
