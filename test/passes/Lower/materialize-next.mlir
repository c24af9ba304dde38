// RUN: plait-opt %s -train-materialize-next | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<4xf32> {train.role = #train.param<"w">}, %[[P:[^ ]*]]: tensor<4xf32> {train.role = #train.pending<"w", "in0">}
// Inputs, and arguments without a role, are read only.
// CHECK-SAME:    %[[X:[^ ]*]]: tensor<4xf32> {bufferization.writable = false, train.role = #train.input<"x">}, %[[Y:[^ ]*]]: tensor<4xf32> {bufferization.writable = false})
// CHECK:         %[[N:.*]] = arith.addf
// CHECK:         %[[Q:.*]] = arith.mulf
// CHECK-NEXT:    %[[NT:.*]] = bufferization.materialize_in_destination %[[N]] in %[[W]]
// CHECK-NEXT:    %[[QT:.*]] = bufferization.materialize_in_destination %[[Q]] in %[[P]]
// CHECK-NEXT:    return %[[X]], %[[NT]], %[[QT]]
func.func @step(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %p: tensor<4xf32> {train.role = #train.pending<"w", "in0">},
    %x: tensor<4xf32> {train.role = #train.input<"x">}, %y: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.output<"loss">}, tensor<4xf32> {train.role = #train.next<"w">},
        tensor<4xf32> {train.role = #train.pending<"w", "in0">}) attributes {train.step} {
  %n = arith.addf %w, %p : tensor<4xf32>
  %q = arith.mulf %x, %y : tensor<4xf32>
  return %x, %n, %q : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// The prologue's pending values have no argument: they are ordinary results.

// CHECK-LABEL: func.func @step_first
// CHECK-NOT:     materialize_in_destination
func.func @step_first(%w: tensor<4xf32> {train.role = #train.param<"w">}, %x: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.pending<"w", "in0">})
    attributes {train.step} {
  %g = arith.negf %x : tensor<4xf32>
  return %w, %g : tensor<4xf32>, tensor<4xf32>
}

// One value for two arguments is in place in the first, and copied from there to
// the second and to the output: whoever still read the value itself would keep
// it from being in place.

// CHECK-LABEL: func.func @twice
// CHECK-SAME:    %[[A:[^ ]*]]: tensor<4xf32> {train.role = #train.state<"", "a">}, %[[B:[^ ]*]]: tensor<4xf32> {train.role = #train.state<"", "b">}
// CHECK:         %[[N:.*]] = arith.addf
// CHECK-NEXT:    %[[AT:.*]] = bufferization.materialize_in_destination %[[N]] in %[[A]]
// CHECK-NEXT:    %[[C:.*]] = linalg.copy ins(%[[AT]] : tensor<4xf32>) outs(%[[B]] : tensor<4xf32>)
// CHECK-NEXT:    %[[BT:.*]] = bufferization.materialize_in_destination %[[C]] in %[[B]]
// CHECK-NEXT:    return %[[AT]], %[[AT]], %[[BT]]
func.func @twice(
    %a: tensor<4xf32> {train.role = #train.state<"", "a">}, %b: tensor<4xf32> {train.role = #train.state<"", "b">})
    -> (tensor<4xf32> {train.role = #train.output<"y">},
        tensor<4xf32> {train.role = #train.next<"", "a">}, tensor<4xf32> {train.role = #train.next<"", "b">})
    attributes {train.step} {
  %n = arith.addf %a, %b : tensor<4xf32>
  return %n, %n, %n : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @do_not_touch_what_is_no_step
// CHECK-SAME:    %{{[^ ]*}}: tensor<4xf32>)
func.func @do_not_touch_what_is_no_step(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
