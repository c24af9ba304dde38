// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=backward}))' \
// RUN:   | FileCheck %s --check-prefixes=CHECK,BACKWARD
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=backward}))' \
// RUN:   --remarks-filter='.*' --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=BACKWARD-REMARK
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=auto}))' \
// RUN:   | FileCheck %s --check-prefixes=CHECK,BACKWARD
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=auto}))' \
// RUN:   --remarks-filter='.*' --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=BACKWARD-REMARK
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=forward}))' \
// RUN:   | FileCheck %s --check-prefixes=CHECK,FORWARD
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=forward}))' \
// RUN:   --remarks-filter='.*' --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=FORWARD-REMARK
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=baseline}))' \
// RUN:   | FileCheck %s --check-prefix=BASELINE
// One error, before any pass runs, and nothing of the module.
// DEFINE: %{unknown} = FileCheck %s --check-prefix=UNKNOWN --implicit-check-not=error --implicit-check-not=note --implicit-check-not=func
// RUN: not plait-opt %examples/mlp.mlir -pass-pipeline='builtin.module(func.func(train-place{policy=sideways}))' 2>&1 | %{unknown}
// RUN: not plait-opt %examples/mlp.mlir -pass-pipeline='builtin.module(plait-schedule{policy=sideways})' 2>&1 | %{unknown}
// RUN: not plait-opt %examples/mlp.mlir -pass-pipeline='builtin.module(plait-to-llvm{policy=sideways})' 2>&1 | %{unknown}

// UNKNOWN: error: train-place: unknown policy 'sideways'; expected baseline, backward, forward or auto

// The decision is data: it is written on the update, and nothing moves. auto is
// backward where that is legal.

// BACKWARD-REMARK: [Passed] placement | Category:train-place | Function=w | Remark="update of "w" waits for operand made by 'linalg.matmul' at loc({{.*}}); placed: backward"
// FORWARD-REMARK: [Passed] placement | Category:train-place | Function=w | Remark="update of "w" placed: forward"
// CHECK-LABEL: func.func @place
// CHECK:         linalg.matmul
// CHECK:         linalg.matmul
// BACKWARD:      train.sgd {{.*}} train.placement = #train.placement<backward>
// FORWARD:       train.sgd {{.*}} train.placement = #train.placement<forward>
// BASELINE-LABEL: func.func @place
// BASELINE:       train.sgd {{.*}} train.placement = #train.placement<baseline>
func.func @place(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %y = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %dw = linalg.matmul ins(%x, %y : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %y, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The norm of all gradients is known only when the last is. Forward can place
// the update: it carries the norm to the next step.

// BACKWARD-REMARK: update of "w" waits for 'arith.addf', which depends on the gradients of 1 other parameter{{s?}}; it stays after them (policy=forward can place it)
// BACKWARD-REMARK: update of "u" waits for 'arith.addf', which depends on the gradients of 1 other parameter{{s?}}
// CHECK-LABEL: func.func @do_not_place_global_norm
// BACKWARD-COUNT-2: #train.placement<baseline>
// FORWARD-COUNT-2:  #train.placement<forward>
func.func private @norm(tensor<4x4xf32>) -> tensor<f32>
func.func @do_not_place_global_norm(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">},
    %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32> {train.role = #train.next<"u">})
    attributes {train.step} {
  %dw = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %du = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %nw = call @norm(%dw) : (tensor<4x4xf32>) -> tensor<f32>
  %nu = call @norm(%du) : (tensor<4x4xf32>) -> tensor<f32>
  %lr = arith.addf %nw, %nu : tensor<f32>
  %w1 = train.sgd ins(%dw, %lr : tensor<4x4xf32>, tensor<f32>) outs(%w : tensor<4x4xf32>)
  %u1 = train.sgd ins(%du, %lr : tensor<4x4xf32>, tensor<f32>) outs(%u : tensor<4x4xf32>)
  return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The new value is used in this step: backward places the update before that
// use, forward cannot let it wait.

// BACKWARD-REMARK: [Passed] {{.*}}update of "w" waits for {{.*}}; placed: backward
// FORWARD-REMARK: the new value of "w" is used in the same step, by 'linalg.matmul', so the update cannot wait
// CHECK-LABEL: func.func @do_not_wait_new_value_used
// BACKWARD:      #train.placement<backward>
// FORWARD:       #train.placement<baseline>
func.func @do_not_wait_new_value_used(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.matmul ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %y = linalg.matmul ins(%x, %w1 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// BACKWARD-REMARK: update of "w" waits for old value passed on by 'func.return'
// BACKWARD-REMARK-SAME: no earlier position is legal
// CHECK-LABEL: func.func @do_not_place_old_value_returned
// BACKWARD:      #train.placement<baseline>
func.func @do_not_place_old_value_returned(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %g: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// BACKWARD-REMARK: [Missed] {{.*}}an update whose parameter is no argument with the role #train.param stays where it is
// CHECK-LABEL: func.func @do_not_place_without_role
// CHECK:         #train.placement<baseline>
func.func @do_not_place_without_role(%w: tensor<4x4xf32>, %g: tensor<4x4xf32>) -> tensor<4x4xf32> attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// -----

// A state that is computed in the step is no argument to carry.

// FORWARD-REMARK: update of "w" replaces a value that is no argument of the step
// CHECK-LABEL: func.func @do_not_wait_state_is_no_argument
// FORWARD:       #train.placement<baseline>
func.func @do_not_wait_state_is_no_argument(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>, %i: tensor<f32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %m = arith.negf %g : tensor<4xf32>
  %w1:3 = train.sgd ins(%g : tensor<4xf32>) outs(%w, %m, %i : tensor<4xf32>, tensor<4xf32>, tensor<f32>)
      {lr = 0.1 : f64, momentum = 0.9 : f64}
  return %w1#0 : tensor<4xf32>
}

// -----

// What waits is copied at the end of the step, when the next value of the state
// is in its place already.

// FORWARD-REMARK: update of "w" reads the old value of argument #1, which this step replaces, so it cannot wait
// CHECK-LABEL: func.func @do_not_wait_old_state_is_input
// BACKWARD:      #train.placement<backward>
// FORWARD:       #train.placement<baseline>
func.func @do_not_wait_old_state_is_input(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %old: tensor<4xf32> {train.role = #train.state<"", "old">},
    %x: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"", "old">})
    attributes {train.step} {
  %g = arith.negf %x : tensor<4xf32>
  %w1 = train.sgd ins(%old : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %w1, %g : tensor<4xf32>, tensor<4xf32>
}

// -----

// Whoever reads the old value in the next step would read the new one: it must
// not be anything else's, too. An output would be a step late.

// BACKWARD-REMARK: [Passed] {{.*}}update of "w" waits for {{.*}}; placed: backward
// FORWARD-REMARK: [Missed] {{.*}}the new value of "w" is result #1 (#train.output<"copy">), too, which cannot be a step late, so the update cannot wait
// CHECK-LABEL: func.func @do_not_wait_new_value_is_output
// BACKWARD:      #train.placement<backward>
// FORWARD:       #train.placement<baseline>
func.func @do_not_wait_new_value_is_output(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.output<"copy">})
    attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %w1, %w1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// FORWARD-REMARK: [Missed] {{.*}}the new value of "w" is result #1, too, which cannot be a step late
// CHECK-LABEL: func.func @do_not_wait_new_value_is_result_without_role
// FORWARD:       #train.placement<baseline>
func.func @do_not_wait_new_value_is_result_without_role(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32>) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %w1, %w1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// A target network takes the new value over.

// FORWARD-REMARK: [Missed] {{.*}}the new value of "w" is result #1 (#train.next<"", "target">), too, which cannot be a step late
// CHECK-LABEL: func.func @do_not_wait_new_value_is_next_of_another
// FORWARD:       #train.placement<baseline>
func.func @do_not_wait_new_value_is_next_of_another(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %t: tensor<4xf32> {train.role = #train.state<"", "target">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"", "target">})
    attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %w1, %w1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// The step does not keep the momentum: the next step's readers of it must not
// find a new one.

// FORWARD-REMARK: [Missed] {{.*}}the new value of argument #1 (#train.state<"w", "momentum_buffer">) is not carried to the next step, so the update cannot wait
// CHECK-LABEL: func.func @do_not_wait_state_is_not_carried
// FORWARD:       #train.placement<baseline>
func.func @do_not_wait_state_is_not_carried(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %m: tensor<4xf32> {train.role = #train.state<"w", "momentum_buffer">},
    %i: tensor<f32> {train.role = #train.state<"w", "initialized">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<f32> {train.role = #train.next<"w", "initialized">})
    attributes {train.step} {
  %w1:3 = train.sgd ins(%g : tensor<4xf32>) outs(%w, %m, %i : tensor<4xf32>, tensor<4xf32>, tensor<f32>)
      {lr = 0.1 : f64, momentum = 0.9 : f64}
  return %w1#0, %w1#2 : tensor<4xf32>, tensor<f32>
}

// -----

// Some steps are skipped: moved out of the condition, the update would always
// be made.

// BACKWARD-REMARK: [Missed] placement | Category:train-place | Function=w | Remark="update of "w" is inside 'scf.if', and stays there: only updates that every step makes, once, are moved"
// FORWARD-REMARK: [Missed] {{.*}}update of "w" is inside 'scf.if', and stays there
// CHECK-LABEL: func.func @do_not_place_update_in_condition
// CHECK:         scf.if
// CHECK:           #train.placement<baseline>
func.func @do_not_place_update_in_condition(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>, %c: i1)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %r = scf.if %c -> tensor<4xf32> {
    %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
    scf.yield %w1 : tensor<4xf32>
  } else {
    scf.yield %w : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}

// -----

// BACKWARD-REMARK: [Missed] {{.*}}update of "w" is not in the step's first block, and stays where it is
// FORWARD-REMARK: [Missed] {{.*}}update of "w" is not in the step's first block, and stays where it is
// FORWARD-REMARK: [Missed] {{.*}}update of "u" is in a step of several blocks, so it cannot wait
// CHECK-LABEL: func.func @do_not_place_later_block
// CHECK:         ^bb1
// CHECK:         #train.placement<baseline>
// CHECK-LABEL: func.func @do_not_wait_several_blocks
// FORWARD:       #train.placement<baseline>
func.func @do_not_place_later_block(%w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  cf.br ^bb1
^bb1:
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4xf32>
}
func.func @do_not_wait_several_blocks(%u: tensor<4xf32> {train.role = #train.param<"u">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %u1 = train.sgd ins(%g : tensor<4xf32>) outs(%u : tensor<4xf32>) {lr = 0.1 : f64}
  cf.br ^bb1
^bb1:
  return %u1 : tensor<4xf32>
}

// -----

// Of two updates of one parameter, the second would be made on top of the first
// in the next step. Those one after the other stay as well.

// BACKWARD-REMARK-COUNT-2: [Missed] {{.*}}update of "w" is one of 2 in this step, which stay where they are
// FORWARD-REMARK-COUNT-2: [Missed] {{.*}}update of "w" is one of 2 in this step, which stay where they are
// CHECK-LABEL: func.func @do_not_place_two_updates
// CHECK-COUNT-2: #train.placement<baseline>
func.func @do_not_place_two_updates(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32>) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  %w2 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.2 : f64}
  return %w2, %w1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// BACKWARD-REMARK: [Missed] {{.*}}update of "w" is one of 2 in this step, which stay where they are
// FORWARD-REMARK: [Missed] {{.*}}update of "w" is one of 2 in this step, which stay where they are
// CHECK-LABEL: func.func @do_not_place_updates_in_a_row
// CHECK-COUNT-2: #train.placement<baseline>
func.func @do_not_place_updates_in_a_row(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  %w2 = train.sgd ins(%g : tensor<4xf32>) outs(%w1 : tensor<4xf32>) {lr = 0.2 : f64}
  return %w2 : tensor<4xf32>
}

// -----

// BACKWARD-REMARK: [Missed] {{.*}}update of "w" has no elements to replace, and stays where it is
// FORWARD-REMARK: [Missed] {{.*}}update of "w" has no elements to replace, and stays where it is
// CHECK-LABEL: func.func @do_not_place_no_elements
// CHECK:         #train.placement<baseline>
func.func @do_not_place_no_elements(
    %w: tensor<4x0xf32> {train.role = #train.param<"w">}, %g: tensor<4x0xf32>)
    -> (tensor<4x0xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4x0xf32>) outs(%w : tensor<4x0xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x0xf32>
}

// -----

// A function that is no step is left alone.

// CHECK-LABEL: func.func @do_not_place_outside_a_step
// CHECK-NOT:     train.placement
func.func @do_not_place_outside_a_step(%w: tensor<4xf32>, %g: tensor<4xf32>) -> tensor<4xf32> {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4xf32>
}
