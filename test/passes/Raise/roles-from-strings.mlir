// RUN: plait-opt %s -train-roles-from-strings -split-input-file -verify-diagnostics | FileCheck %s
// RUN: plait-opt %s -train-roles-from-strings -train-roles-to-strings -split-input-file -verify-diagnostics \
// RUN:   | FileCheck %s --check-prefix=BACK

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.param<"w">}
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.state<"w", "exp_avg">}
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.state<"", "bn.running_mean">}
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.pending<"w", "in0">}
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.input<"x">}
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.input<"y">}
// A role without a name is given one; an argument without a role keeps none.
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.input<"input6">}
// CHECK-SAME:    %{{[^ ]*}}: tensor<4xf32>)
// CHECK-SAME:    (tensor<4xf32> {train.role = #train.output<"loss">}, tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"w", "exp_avg">}, tensor<4xf32> {train.role = #train.next<"", "bn.running_mean">}, tensor<4xf32> {train.role = #train.output<"logits">}, tensor<4xf32> {train.role = #train.pending<"w", "in0">})
// CHECK-SAME:    attributes {train.step}
// CHECK-NOT:     train.name
// BACK-LABEL: func.func @step
// BACK-SAME:    {train.name = "w", train.role = "param"}
// BACK-SAME:    {train.name = "w", train.role = "state:exp_avg"}
// BACK-SAME:    {train.name = "bn.running_mean", train.role = "buffer"}
// BACK-SAME:    {train.name = "w", train.role = "pending:in0"}
// BACK-SAME:    {train.name = "x", train.role = "input"}
// BACK-SAME:    {train.name = "y", train.role = "input"}
// BACK-SAME:    {train.name = "loss", train.role = "output"}
// BACK-SAME:    {train.name = "w", train.role = "new_param"}
// BACK-SAME:    {train.name = "w", train.role = "new_state:exp_avg"}
// BACK-SAME:    {train.name = "bn.running_mean", train.role = "new_buffer"}
// BACK-SAME:    {train.name = "logits", train.role = "output"}
// BACK-SAME:    {train.name = "w", train.role = "pending:in0"}
// BACK-NOT:     train.step
func.func @step(
    %w: tensor<4xf32> {train.role = "param", train.name = "w"},
    %m: tensor<4xf32> {train.role = "state:exp_avg", train.name = "w"},
    %b: tensor<4xf32> {train.role = "buffer", train.name = "bn.running_mean"},
    %p: tensor<4xf32> {train.role = "pending:in0", train.name = "w"},
    %x: tensor<4xf32> {train.role = "input", train.name = "x"},
    %y: tensor<4xf32> {train.role = "label", train.name = "y"},
    %z: tensor<4xf32> {train.role = "input"}, %plain: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = "loss"},
        tensor<4xf32> {train.role = "new_param", train.name = "w"},
        tensor<4xf32> {train.role = "new_state:exp_avg", train.name = "w"},
        tensor<4xf32> {train.role = "new_buffer", train.name = "bn.running_mean"},
        tensor<4xf32> {train.role = "output", train.name = "logits"},
        tensor<4xf32> {train.role = "pending:in0", train.name = "w"}) {
  return %x, %w, %m, %b, %y, %p : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// JAX's states have a name, and no owner.
// CHECK-LABEL: func.func @state_without_kind
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.state<"", "[0].mu['w']">}) -> (tensor<4xf32> {train.role = #train.next<"", "[0].mu['w']">})
func.func @state_without_kind(%m: tensor<4xf32> {train.role = "state", train.name = "[0].mu['w']"})
    -> (tensor<4xf32> {train.role = "new_state", train.name = "[0].mu['w']"}) {
  return %m : tensor<4xf32>
}

// A step without roles stays one: nothing else would say so. It lost its mark.
// CHECK-LABEL: func.func @step_without_roles({{.*}}attributes {train.step}
// BACK-LABEL: func.func @step_without_roles({{.*}}attributes {train.step}
func.func @step_without_roles(%x: tensor<4xf32>) -> tensor<4xf32> attributes {train.step} {
  return %x : tensor<4xf32>
}

// A function without role strings is no step.
// CHECK: func.func @no_step(%{{[^ ]*}}: tensor<4xf32>) {
func.func @no_step(%x: tensor<4xf32>) {
  return
}

// -----

// expected-error@+1 {{unknown role string "parameter"}}
func.func @unknown_string(%w: tensor<4xf32> {train.role = "parameter", train.name = "w"}) {
  return
}

// -----

// The contract is checked on what the strings say.
// expected-error@+1 {{argument #0 is a state of "w", but no argument has the role}}
func.func @broken_contract(%m: tensor<4xf32> {train.role = "state:exp_avg", train.name = "w"}) {
  return
}
