// RUN: plait-opt %s -split-input-file -verify-diagnostics

// The contract of a training step.

// expected-error@+1 {{has two arguments with the role #train.param<"w">}}
func.func @duplicate_argument(%a: tensor<4xf32> {train.role = #train.param<"w">},
                              %b: tensor<4xf32> {train.role = #train.param<"w">}) attributes {train.step} {
  return
}

// -----

// expected-error@+1 {{argument #0 is a state of "w", but no argument has the role #train.param<"w">}}
func.func @state_of_unknown(%a: tensor<4xf32> {train.role = #train.state<"w", "exp_avg">}) attributes {train.step} {
  return
}

// -----

// expected-error@+1 {{has two results with the role #train.next<"w">}}
func.func @duplicate_result(%w: tensor<4xf32> {train.role = #train.param<"w">})
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"w">})
    attributes {train.step} {
  return %w, %w : tensor<4xf32>, tensor<4xf32>
}

// -----

// It was the next value of "w", beside another one.
// expected-error@+1 {{result #1 has the role #train.next<"w", "">, but the name of a state must not be empty; the next value of the parameter is #train.next<"w">}}
func.func @next_with_empty_name(%w: tensor<4xf32> {train.role = #train.param<"w">})
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"w", "">})
    attributes {train.step} {
  return %w, %w : tensor<4xf32>, tensor<4xf32>
}

// -----

// It was blamed for having another type than "w".
// expected-error@+1 {{argument #1 has the role #train.state<"w", "">, but the name of a state must not be empty}}
func.func @state_with_empty_name(%w: tensor<4xf32> {train.role = #train.param<"w">}, %s: tensor<f32> {train.role = #train.state<"w", "">})
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<f32> {train.role = #train.next<"w", "">})
    attributes {train.step} {
  return %w, %s : tensor<4xf32>, tensor<f32>
}

// -----

// expected-error@+1 {{argument #0 has the role #train.state<"", "">, but the name of a state must not be empty}}
func.func @buffer_with_empty_name(%s: tensor<f32> {train.role = #train.state<"", "">}) attributes {train.step} {
  return
}

// -----

// expected-error@+1 {{result #0 has the role #train.next<"", "">, but the name of a state must not be empty}}
func.func @next_buffer_with_empty_name(%s: tensor<f32> {train.role = #train.state<"", "s">})
    -> (tensor<f32> {train.role = #train.next<"", "">}) attributes {train.step} {
  return %s : tensor<f32>
}

// -----

// expected-error@+1 {{result #0 has the role #train.next<"v">, but no argument is that parameter or state}}
func.func @next_of_unknown(%w: tensor<4xf32> {train.role = #train.param<"w">})
    -> (tensor<4xf32> {train.role = #train.next<"v">}) attributes {train.step} {
  return %w : tensor<4xf32>
}

// -----

// expected-error@+1 {{result #0 has the role #train.next<"w"> and type 'tensor<8xf32>', but that argument has type 'tensor<4xf32>'}}
func.func @next_of_other_type(%w: tensor<4xf32> {train.role = #train.param<"w">}, %x: tensor<8xf32>)
    -> (tensor<8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  return %x : tensor<8xf32>
}

// -----

// expected-error@+1 {{argument #0 has 'train.role' #train.next<"w">, expected #train.param, #train.state, #train.pending or #train.input}}
func.func @next_on_argument(%w: tensor<4xf32> {train.role = #train.next<"w">}) {
  return
}

// -----

// expected-error@+1 {{result #0 has 'train.role' #train.param<"w">, expected #train.next, #train.pending or #train.output}}
func.func @param_on_result(%w: tensor<4xf32>) -> (tensor<4xf32> {train.role = #train.param<"w">}) {
  return %w : tensor<4xf32>
}

// -----

// expected-error@+1 {{'train.step' must be a unit attribute of a function}}
module attributes {train.step} {}

// -----

// expected-error@+1 {{'train.step' must be a unit attribute of a function}}
func.func @step_is_no_unit() attributes {train.step = 1 : i32} {
  return
}

// -----

// expected-error@+1 {{'train.model' must be a dictionary of strings of a function}}
func.func @model_is_no_table() attributes {train.model = ["w"]} {
  return
}

// -----

// expected-error@+1 {{has an unknown attribute 'train.stage'}}
func.func @unknown_attribute() attributes {train.stage} {
  return
}

// -----

// expected-error@+1 {{has 'train.placement' but is no update}}
func.func @placement_of_no_update() attributes {train.placement = #train.placement<backward>} {
  return
}

// -----

func.func @placement_of_other_kind(%g: tensor<4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{'train.placement' must be a #train.placement}}
  %0 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = "backward"}
  return
}

// -----

func.func @apart_is_no_unit(%g: tensor<4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{'train.apart' must be a unit attribute of an update}}
  %0 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.apart = true}
  return
}

// -----

// expected-error@+1 {{'train.apart' must be a unit attribute of an update}}
func.func @apart_of_no_update() attributes {train.apart} {
  return
}

// -----

// Updates.

func.func @no_gradient(%w: tensor<4xf32>) {
  // expected-error@+1 {{needs a gradient in ins(...)}}
  %0 = "train.sgd"(%w) {operandSegmentSizes = array<i32: 0, 1>, lr = 0.1 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @no_parameter(%g: tensor<4xf32>) {
  // expected-error@+1 {{needs a parameter in outs(...)}}
  "train.sgd"(%g) {operandSegmentSizes = array<i32: 1, 0>, lr = 0.1 : f64} : (tensor<4xf32>) -> ()
  return
}

// -----

func.func @update_of_other_type(%g: tensor<4xf32>, %w: tensor<4xf32>, %x: tensor<8xf32>) {
  // expected-error@+1 {{results must have the types of outs(...): 'tensor<4xf32>'}}
  %0 = train.update "bad" ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {
  ^bb0(%gt: tensor<4xf32>, %wt: tensor<4xf32>):
    %e = tensor.empty() : tensor<8xf32>
    train.yield %e : tensor<8xf32>
  } : tensor<8xf32>
  return
}

// -----

func.func @update_region_takes(%g: tensor<4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{region takes 'tensor<4xf32>' but the operands are 'tensor<4xf32>', 'tensor<4xf32>'}}
  %0 = train.update "bad" ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {
  ^bb0(%gt: tensor<4xf32>):
    train.yield %gt : tensor<4xf32>
  } : tensor<4xf32>
  return
}

// -----

func.func @update_yields(%g: tensor<4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{yields 'tensor<4xf32>', 'tensor<4xf32>' but returns 'tensor<4xf32>'}}
  %0 = train.update "bad" ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {
  ^bb0(%gt: tensor<4xf32>, %wt: tensor<4xf32>):
    train.yield %gt, %wt : tensor<4xf32>, tensor<4xf32>
  } : tensor<4xf32>
  return
}

// -----

func.func @cluster_takes(%g: tensor<4xf32>, %x: tensor<8xf32>) {
  // expected-error@+1 {{region takes 'tensor<8xf32>' but the operands are 'tensor<4xf32>'}}
  %0 = train.cluster <backward> ins(%g : tensor<4xf32>) {
  ^bb0(%gt: tensor<8xf32>):
    train.yield %gt : tensor<8xf32>
  } : tensor<8xf32>
  return
}

// -----

func.func @region_ends_in_another_op(%g: tensor<4xf32>) {
  // expected-error@+1 {{region must end in train.yield}}
  %0 = train.cluster <backward> ins(%g : tensor<4xf32>) {
  ^bb0(%gt: tensor<4xf32>):
    llvm.unreachable
  } : tensor<4xf32>
  return
}

// -----

// Named optimizers.

func.func @f64_parameter(%g: tensor<4xf64>, %w: tensor<4xf64>) {
  // expected-error@+1 {{parameter must be of f32, but is 'tensor<4xf64>'}}
  %0 = train.sgd ins(%g : tensor<4xf64>) outs(%w : tensor<4xf64>) {lr = 0.1 : f64}
  return
}

// -----

func.func @gradient_type(%g: tensor<8xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{gradient has type 'tensor<8xf32>', but the parameter 'tensor<4xf32>'}}
  %0 = train.sgd ins(%g : tensor<8xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return
}

// -----

func.func @no_lr(%g: tensor<4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{takes the learning rate either as attribute 'lr' or as the second operand of ins(...)}}
  %0 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>)
  return
}

// -----

func.func @lr_twice(%g: tensor<4xf32>, %lr: tensor<f32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{takes the learning rate either as attribute 'lr'}}
  %0 = train.sgd ins(%g, %lr : tensor<4xf32>, tensor<f32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return
}

// -----

func.func @lr_type(%g: tensor<4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{learning rate has type 'tensor<4xf32>', expected 'tensor<f32>'}}
  %0 = train.sgd ins(%g, %g : tensor<4xf32>, tensor<4xf32>) outs(%w : tensor<4xf32>)
  return
}

// -----

func.func @missing_states(%g: tensor<4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{expects 3 states after the parameter (exp_avg, exp_avg_sq, step), got 0}}
  %0 = train.adam ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return
}

// -----

func.func @state_type(%g: tensor<4xf32>, %w: tensor<4xf32>, %i: tensor<4xf32>) {
  // expected-error@+1 {{state 'initialized' has type 'tensor<4xf32>', expected 'tensor<f32>'}}
  %0:3 = train.sgd ins(%g : tensor<4xf32>) outs(%w, %i, %i : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {lr = 0.1 : f64, momentum = 0.9 : f64}
  return
}

// -----

func.func @nesterov_without_momentum(%g: tensor<4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{nesterov needs momentum and no dampening}}
  %0 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, nesterov}
  return
}

// -----

func.func @three_betas(%g: tensor<4xf32>, %w: tensor<4xf32>, %t: tensor<f32>) {
  // expected-error@+1 {{betas must be two numbers, got 3}}
  %0:4 = train.adam ins(%g : tensor<4xf32>) outs(%w, %w, %w, %t : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>) {lr = 0.1 : f64, betas = array<f64: 0.9, 0.99, 0.999>}
  return
}

// -----

// expected-error@+1 {{argument #0 has 'train.index_range' array<i64: 5, 5>, expected array<i64: low, high, others...> with low < high}}
func.func @empty_index_range(%x: tensor<4xi64> {train.index_range = array<i64: 5, 5>}) {
  return
}

// -----

// expected-error@+1 {{argument #0 has 'train.index_range' 5 : i64, expected array<i64: low, high, others...> with low < high}}
func.func @index_range_of_one_number(%x: tensor<4xi64> {train.index_range = 5}) {
  return
}
