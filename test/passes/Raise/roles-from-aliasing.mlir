// RUN: plait-opt %s -train-roles-from-aliasing -split-input-file -verify-diagnostics | FileCheck %s

// jax.jit(step, donate_argnums=(0, 1)): the weight is read by the forward pass,
// its moment only by updates, and the counter is no number to train.

// CHECK-LABEL: func.func @main
// CHECK-SAME:    %{{.*}}: tensor<4x4xf32> {train.role = #train.param<"arg0">}
// CHECK-SAME:    %{{.*}}: tensor<i32> {train.role = #train.state<"", "arg1">}
// CHECK-SAME:    %{{.*}}: tensor<4x4xf32> {train.role = #train.state<"", "arg2">}
// CHECK-SAME:    %{{[^ ]*}}: tensor<4x4xf32>)
// CHECK-SAME:    -> (tensor<f32> {jax.result_info = "result[0]"}, tensor<4x4xf32> {train.role = #train.next<"arg0">}, tensor<i32> {train.role = #train.next<"", "arg1">}, tensor<4x4xf32> {train.role = #train.next<"", "arg2">})
// CHECK-SAME:    attributes {train.step}
// CHECK-NOT:     tf.aliasing_output
func.func @main(
    %w: tensor<4x4xf32> {tf.aliasing_output = 1 : i32}, %t: tensor<i32> {tf.aliasing_output = 2 : i32},
    %m: tensor<4x4xf32> {tf.aliasing_output = 3 : i32}, %x: tensor<4x4xf32>)
    -> (tensor<f32> {jax.result_info = "result[0]"}, tensor<4x4xf32>, tensor<i32>, tensor<4x4xf32>) {
  %zero = arith.constant dense<0.0> : tensor<4x4xf32>
  %zero0 = arith.constant dense<0.0> : tensor<f32>
  %one = arith.constant dense<1> : tensor<i32>
  %y = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<4x4xf32>) outs(%zero0 : tensor<f32>) dimensions = [0, 1]
  %g = linalg.matmul ins(%x, %y : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
  %m1 = arith.addf %m, %g : tensor<4x4xf32>
  %w1 = arith.subf %w, %m1 : tensor<4x4xf32>
  %t1 = arith.addi %t, %one : tensor<i32>
  return %loss, %w1, %t1, %m1 : tensor<f32>, tensor<4x4xf32>, tensor<i32>, tensor<4x4xf32>
}

// -----

// A donor names no result: it gets the first one of its type that is free. A
// state that starts from nothing in each step (the last gradient) is one, too.

// CHECK-LABEL: func.func @donors
// CHECK-SAME:    %{{.*}}: tensor<4x4xf32> {train.role = #train.param<"arg0">}
// CHECK-SAME:    %{{.*}}: tensor<4x4xf32> {train.role = #train.state<"", "arg1">}
// CHECK-SAME:    -> (tensor<4x4xf32> {train.role = #train.next<"arg0">}, tensor<4x4xf32> {train.role = #train.next<"", "arg1">}, tensor<f32>)
func.func @donors(%w: tensor<4x4xf32> {jax.buffer_donor = true}, %last: tensor<4x4xf32> {jax.buffer_donor = true}, %x: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>) {
  %zero = arith.constant dense<0.0> : tensor<4x4xf32>
  %zero0 = arith.constant dense<0.0> : tensor<f32>
  %y = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<4x4xf32>) outs(%zero0 : tensor<f32>) dimensions = [0, 1]
  %g = linalg.matmul ins(%x, %y : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
  %d = arith.subf %g, %last : tensor<4x4xf32>
  %w1 = arith.subf %w, %d : tensor<4x4xf32>
  return %w1, %g, %loss : tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>
}

// -----

// Roles are the importer's word; donation then says nothing more.

// CHECK-LABEL: func.func @do_not_overrule_roles
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {tf.aliasing_output = 1 : i32, train.role = #train.param<"w">}
func.func @do_not_overrule_roles(%w: tensor<4xf32> {tf.aliasing_output = 1 : i32, train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32>) attributes {train.step} {
  %w1 = arith.subf %w, %g : tensor<4xf32>
  return %w1, %g : tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @do_not_touch_without_donation
// CHECK-SAME:    (%{{[^ ]*}}: tensor<4xf32>) -> tensor<4xf32> {
func.func @do_not_touch_without_donation(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// JAX pairs by type: a step that returns its moments in another order than it
// takes them would have them swapped.

// expected-error@+1 {{result #1 takes the buffer of argument #0, but is no elementwise function of it; it is computed from argument #1: return values in the order of the donated arguments}}
func.func @do_not_swap_states(
    %m: tensor<4xf32> {tf.aliasing_output = 1 : i32}, %v: tensor<4xf32> {tf.aliasing_output = 2 : i32}, %g: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %m1 = arith.addf %m, %g : tensor<4xf32>
  %v1 = arith.mulf %v, %g : tensor<4xf32>
  return %g, %v1, %m1 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// A donated batch whose buffer the predictions take is not carried anywhere.

// expected-error@+1 {{result #0 takes the buffer of argument #0, but is no elementwise function of it, so it may not be its next value: do not donate that argument, or give the arguments and results a train.role}}
func.func @do_not_carry_input(%x: tensor<4x4xf32> {tf.aliasing_output = 0 : i32}, %w: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %zero = arith.constant dense<0.0> : tensor<4x4xf32>
  %y = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
  %s = linalg.matmul ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y, %s : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// expected-error@+1 {{argument #0 is aliased with result #1, which is none of its type, or is aliased twice}}
func.func @do_not_pair_other_type(%x: tensor<4xf32> {tf.aliasing_output = 1 : i32}) -> (tensor<4xf32>, tensor<f32>) {
  %c = arith.constant dense<0.0> : tensor<f32>
  return %x, %c : tensor<4xf32>, tensor<f32>
}
