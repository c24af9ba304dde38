// RUN: plait-opt %s -train-materialize-next | FileCheck %s
// RUN: plait-opt %s -train-materialize-next --remarks-filter='.*' --remark-format=emitRemark 2>&1 >/dev/null \
// RUN:   | FileCheck %s --check-prefix=REMARK

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

// A value that is carried and an output, too, is read where it then is: whoever
// still read the value itself would keep it from being in place.

// CHECK-LABEL: func.func @twice
// CHECK-SAME:    %[[A:[^ ]*]]: tensor<4xf32> {train.role = #train.state<"", "a">}, %[[B:[^ ]*]]: tensor<4xf32> {train.role = #train.state<"", "b">}
// CHECK:         %[[N:.*]] = arith.addf
// CHECK-NEXT:    %[[COPY:.*]] = bufferization.alloc_tensor() copy(%[[N]])
// CHECK-NEXT:    %[[AT:.*]] = bufferization.materialize_in_destination %[[N]] in %[[A]]
// CHECK-NEXT:    %[[BT:.*]] = bufferization.materialize_in_destination %[[COPY]] in %[[B]]
// CHECK-NEXT:    return %[[AT]], %[[AT]], %[[BT]]
func.func @twice(
    %a: tensor<4xf32> {train.role = #train.state<"", "a">}, %b: tensor<4xf32> {train.role = #train.state<"", "b">})
    -> (tensor<4xf32> {train.role = #train.output<"y">},
        tensor<4xf32> {train.role = #train.next<"", "a">}, tensor<4xf32> {train.role = #train.next<"", "b">})
    attributes {train.step} {
  %n = arith.addf %a, %b : tensor<4xf32>
  return %n, %n, %n : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// An output, or another argument's next value, that is an old value is copied
// before that is overwritten. What is not overwritten is not.

// CHECK-LABEL: func.func @old_values
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<4xf32> {{[^,]*}}, %[[M:[^ ]*]]: tensor<4xf32>
// CHECK:         %[[OLD:.*]] = bufferization.alloc_tensor() copy(%[[W]])
// CHECK:         %[[PART:.*]] = tensor.extract_slice %[[W]]
// CHECK:         %[[OUT:.*]] = bufferization.alloc_tensor() copy(%[[PART]])
// CHECK:         %[[N:.*]] = arith.addf
// CHECK:         %[[NT:.*]] = bufferization.materialize_in_destination %[[N]] in %[[W]]
// CHECK-NEXT:    %[[MT:.*]] = bufferization.materialize_in_destination %[[OLD]] in %[[M]]
// CHECK-NEXT:    return %[[OUT]], %[[NT]], %[[MT]], %{{.*}}, %{{.*}} :
func.func @old_values(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %m: tensor<4xf32> {train.role = #train.state<"w", "old">},
    %k: tensor<2xf32> {train.role = #train.state<"", "k">}, %x: tensor<2xf32> {train.role = #train.input<"x">})
    -> (tensor<2xf32> {train.role = #train.output<"part">}, tensor<4xf32> {train.role = #train.next<"w">},
        tensor<4xf32> {train.role = #train.next<"w", "old">}, tensor<2xf32> {train.role = #train.next<"", "k">},
        tensor<2xf32> {train.role = #train.output<"x">}) attributes {train.step} {
  %part = tensor.extract_slice %w[1] [2] [1] : tensor<4xf32> to tensor<2xf32>
  %n = arith.addf %w, %m : tensor<4xf32>
  return %part, %n, %w, %k, %x : tensor<2xf32>, tensor<4xf32>, tensor<4xf32>, tensor<2xf32>, tensor<2xf32>
}

// Once, the value was made in the buffer of %a, and reading it for %b after it
// was "written" there could not be avoided.

// CHECK-LABEL: func.func @next_of_two
// CHECK:         %[[N:.*]] = arith.addf
// CHECK-NEXT:    %[[COPY:.*]] = bufferization.alloc_tensor() copy(%[[N]])
// CHECK-NEXT:    bufferization.materialize_in_destination %[[N]] in
// CHECK-NEXT:    bufferization.materialize_in_destination %[[COPY]] in
func.func @next_of_two(
    %a: tensor<4xf32> {train.role = #train.state<"", "a">}, %b: tensor<4xf32> {train.role = #train.state<"", "b">},
    %x: tensor<4xf32> {train.role = #train.input<"x">})
    -> (tensor<4xf32> {train.role = #train.next<"", "a">}, tensor<4xf32> {train.role = #train.next<"", "b">})
    attributes {train.step} {
  %n = arith.addf %x, %x : tensor<4xf32>
  return %n, %n : tensor<4xf32>, tensor<4xf32>
}

// A value that is made in the buffer of another argument is copied to its own,
// for that has a next value as well: bufferization refused with a conflict. In
// the buffer of one that stays as it is, bufferization finds another place.

// CHECK-LABEL: func.func @swapped
// CHECK-SAME:    %[[A:[^ ]*]]: tensor<4xf32> {train.role = #train.param<"a">}, %[[B:[^ ]*]]: tensor<4xf32> {train.role = #train.param<"b">}
// CHECK:         %[[NA:.*]] = linalg.exp {{.*}} outs(%[[A]] :
// CHECK-NEXT:    %[[CA:.*]] = bufferization.alloc_tensor() copy(%[[NA]])
// CHECK-NEXT:    %[[NB:.*]] = linalg.exp {{.*}} outs(%[[B]] :
// CHECK-NEXT:    %[[CB:.*]] = bufferization.alloc_tensor() copy(%[[NB]])
// CHECK-NEXT:    bufferization.materialize_in_destination %[[CB]] in %[[A]]
// CHECK-NEXT:    bufferization.materialize_in_destination %[[CA]] in %[[B]]
// REMARK: Function=b | Remark="result #0 (#train.next<"a">) is made in the buffer of #train.param<"b">, so it is copied in each step; make it from the old value of its own argument"
// REMARK: Function=a | Remark="result #1 (#train.next<"b">) is made in the buffer of #train.param<"a">
// REMARK-NOT: Remark
func.func @swapped(
    %a: tensor<4xf32> {train.role = #train.param<"a">}, %b: tensor<4xf32> {train.role = #train.param<"b">},
    %x: tensor<4xf32> {train.role = #train.input<"x">})
    -> (tensor<4xf32> {train.role = #train.next<"a">}, tensor<4xf32> {train.role = #train.next<"b">})
    attributes {train.step} {
  %na = linalg.exp ins(%x : tensor<4xf32>) outs(%a : tensor<4xf32>) -> tensor<4xf32>
  %nb = linalg.exp ins(%x : tensor<4xf32>) outs(%b : tensor<4xf32>) -> tensor<4xf32>
  return %nb, %na : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @do_not_copy_beside_what_stays
// CHECK-NOT:     alloc_tensor
func.func @do_not_copy_beside_what_stays(
    %a: tensor<4xf32> {train.role = #train.param<"a">}, %b: tensor<4xf32> {train.role = #train.param<"b">},
    %x: tensor<4xf32> {train.role = #train.input<"x">})
    -> (tensor<4xf32> {train.role = #train.next<"a">}, tensor<4xf32> {train.role = #train.next<"b">})
    attributes {train.step} {
  %na = linalg.exp ins(%x : tensor<4xf32>) outs(%b : tensor<4xf32>) -> tensor<4xf32>
  return %na, %b : tensor<4xf32>, tensor<4xf32>
}

// A loop that begins with the argument is in its buffer; one that begins with
// something else is not.

// CHECK-LABEL: func.func @carried_through_loop
// CHECK-SAME:    %{{[^ ]*}}: tensor<4xf32> {train.role = #train.state<"", "m">}, %[[V:[^ ]*]]: tensor<4xf32> {train.role = #train.state<"", "v">}
// CHECK:         %[[LOOP:.*]]:2 = scf.for
// CHECK:         %[[VT:.*]] = bufferization.materialize_in_destination %[[LOOP]]#1 in %[[V]]
// CHECK-NEXT:    return %[[LOOP]]#0, %[[VT]]
func.func @carried_through_loop(
    %m: tensor<4xf32> {train.role = #train.state<"", "m">}, %v: tensor<4xf32> {train.role = #train.state<"", "v">})
    -> (tensor<4xf32> {train.role = #train.next<"", "m">}, tensor<4xf32> {train.role = #train.next<"", "v">})
    attributes {train.step} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %w = arith.negf %v : tensor<4xf32>
  %r:2 = scf.for %k = %c0 to %c3 step %c1 iter_args(%a = %m, %b = %w) -> (tensor<4xf32>, tensor<4xf32>) {
    %n = arith.addf %a, %b : tensor<4xf32>
    scf.yield %n, %b : tensor<4xf32>, tensor<4xf32>
  }
  return %r#0, %r#1 : tensor<4xf32>, tensor<4xf32>
}

// A loop that fills what begins empty, as a scan stacks gradients, fills the
// argument. Told to write its result there once it did so already, bufferization
// found a conflict.

// CHECK-LABEL: func.func @filled_by_loop
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<3x4xf32> {train.role = #train.param<"w">}, %[[P:[^ ]*]]: tensor<3x4xf32>
// CHECK:         %[[N:.*]] = arith.addf
// CHECK:         %[[LOOP:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[P]])
// CHECK:         %[[NT:.*]] = bufferization.materialize_in_destination %[[N]] in %[[W]]
// CHECK-NEXT:    return %[[NT]], %[[LOOP]]
func.func @filled_by_loop(
    %w: tensor<3x4xf32> {train.role = #train.param<"w">}, %p: tensor<3x4xf32> {train.role = #train.pending<"w", "in0">},
    %x: tensor<4xf32> {train.role = #train.input<"x">})
    -> (tensor<3x4xf32> {train.role = #train.next<"w">}, tensor<3x4xf32> {train.role = #train.pending<"w", "in0">})
    attributes {train.step} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %n = arith.addf %w, %p : tensor<3x4xf32>
  %e = tensor.empty() : tensor<3x4xf32>
  %g = scf.for %k = %c0 to %c3 step %c1 iter_args(%a = %e) -> (tensor<3x4xf32>) {
    %i = tensor.insert_slice %x into %a[%k, 0] [1, 4] [1, 1] : tensor<4xf32> into tensor<3x4xf32>
    scf.yield %i : tensor<3x4xf32>
  }
  return %n, %g : tensor<3x4xf32>, tensor<3x4xf32>
}

// Where the old value is read in the loop, or behind it, the loop has a tensor of
// its own.

// CHECK-LABEL: func.func @do_not_fill_what_is_read
// CHECK:         %[[E:.*]] = tensor.empty
// CHECK:         %[[A:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[E]])
// CHECK:         %[[B:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[E]])
// CHECK:         %[[AT:.*]] = bufferization.materialize_in_destination %[[A]]
// CHECK-NEXT:    %[[BT:.*]] = bufferization.materialize_in_destination %[[B]]
func.func @do_not_fill_what_is_read(
    %p: tensor<3x4xf32> {train.role = #train.state<"", "p">}, %q: tensor<3x4xf32> {train.role = #train.state<"", "q">},
    %x: tensor<4xf32> {train.role = #train.input<"x">})
    -> (tensor<3x4xf32> {train.role = #train.next<"", "p">}, tensor<3x4xf32> {train.role = #train.next<"", "q">},
        tensor<3x4xf32> {train.role = #train.output<"y">}) attributes {train.step} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %e = tensor.empty() : tensor<3x4xf32>
  %a = scf.for %k = %c0 to %c3 step %c1 iter_args(%i = %e) -> (tensor<3x4xf32>) {
    %old = tensor.extract_slice %p[%k, 0] [1, 4] [1, 1] : tensor<3x4xf32> to tensor<4xf32>
    %new = tensor.insert_slice %old into %i[0, 0] [1, 4] [1, 1] : tensor<4xf32> into tensor<3x4xf32>
    scf.yield %new : tensor<3x4xf32>
  }
  %b = scf.for %k = %c0 to %c3 step %c1 iter_args(%i = %e) -> (tensor<3x4xf32>) {
    %new = tensor.insert_slice %x into %i[%k, 0] [1, 4] [1, 1] : tensor<4xf32> into tensor<3x4xf32>
    scf.yield %new : tensor<3x4xf32>
  }
  %y = arith.negf %q : tensor<3x4xf32>
  return %a, %b, %y : tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>
}

// An argument that passes through is its own next value, whoever else takes it
// over.

// CHECK-LABEL: func.func @passes_through
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<4xf32> {train.role = #train.param<"w">}, %[[P:[^ ]*]]: tensor<4xf32>
// CHECK-NEXT:    %[[PT:.*]] = bufferization.materialize_in_destination %[[W]] in %[[P]]
// CHECK-NEXT:    return %[[W]], %[[PT]]
func.func @passes_through(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %p: tensor<4xf32> {train.role = #train.state<"w", "old">})
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"w", "old">})
    attributes {train.step} {
  return %w, %w : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @do_not_overwrite_what_is_not_carried
// CHECK-SAME:    %{{[^ ]*}}: tensor<4xf32> {train.role = #train.param<"w">}
// CHECK-SAME:    tensor<4xf32> {bufferization.writable = false, train.role = #train.param<"frozen">}
// CHECK-SAME:    tensor<4xf32> {bufferization.writable = false, train.role = #train.state<"w", "dropped">}
// CHECK-SAME:    tensor<4xf32> {bufferization.writable = false, train.role = #train.pending<"w", "in0">}
func.func @do_not_overwrite_what_is_not_carried(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %f: tensor<4xf32> {train.role = #train.param<"frozen">},
    %s: tensor<4xf32> {train.role = #train.state<"w", "dropped">}, %g: tensor<4xf32> {train.role = #train.pending<"w", "in0">})
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %n = arith.addf %w, %g : tensor<4xf32>
  return %n : tensor<4xf32>
}

// CHECK-LABEL: func.func @do_not_touch_what_is_no_step
// CHECK-SAME:    %{{[^ ]*}}: tensor<4xf32>)
func.func @do_not_touch_what_is_no_step(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
