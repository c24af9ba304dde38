// RUN: plait-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(train-place{policy=forward}),train-forward-fusion)' \
// RUN:   | FileCheck %s
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=forward}),train-forward-fusion)' \
// RUN:   --remarks-filter='train-forward-fusion' --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// The prologue updates nothing: the parameter passes through, its gradient and
// the learning rate wait.

// REMARK: [Passed] forward-fusion | Category:train-forward-fusion | Function=w | Remark="update of "w" is in one loop nest with its first reader in the next step"
// CHECK-LABEL: func.func @step_first
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<4x4xf32> {train.role = #train.param<"w">}
// CHECK-SAME:    tensor<4x4xf32> {train.role = #train.pending<"w", "in0">}, tensor<f32> {train.role = #train.pending<"w", "in1">})
// CHECK:         linalg.matmul ins(%{{.*}}, %[[W]]
// CHECK:         %[[DW:.*]] = linalg.matmul
// CHECK-NOT:     train.sgd
// CHECK:         return %{{.*}}, %[[W]], %[[DW]], %{{.*}} :

// The epilogue has what the waiting update needs, and no more.

// CHECK-LABEL: func.func @step_flush
// CHECK-SAME:    (%[[W:[^ ]*]]: tensor<4x4xf32> {train.role = #train.param<"w">}, %[[G:[^ ]*]]: tensor<4x4xf32> {train.role = #train.pending<"w", "in0">}, %[[LR:[^ ]*]]: tensor<f32> {train.role = #train.pending<"w", "in1">})
// CHECK-SAME:    -> (tensor<4x4xf32> {train.role = #train.next<"w">})
// CHECK-NEXT:    %[[N:.*]] = train.sgd ins(%[[G]], %[[LR]] : tensor<4x4xf32>, tensor<f32>) outs(%[[W]]
// CHECK-NEXT:    return %[[N]]

// The steady state: last step's gradient is applied with the first reader, all
// other readers see the new value, and this step's gradient waits.

// CHECK-LABEL: func.func @step(
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<4x4xf32> {train.role = #train.param<"w">}, %[[X:[^ ]*]]: tensor<4x4xf32>
// CHECK-SAME:    %[[G:[^ ]*]]: tensor<4x4xf32> {train.role = #train.pending<"w", "in0">}, %[[LR:[^ ]*]]: tensor<f32> {train.role = #train.pending<"w", "in1">})
// CHECK:         %[[LRNEW:.*]] = math.exp
// CHECK:         %[[C:.*]]:2 = train.cluster <forward> ins(%[[G]], %[[LR]], %[[W]], %[[X]]
// CHECK:           %[[N:.*]] = train.sgd ins(%{{.*}}, %{{.*}} : tensor<4x4xf32>, tensor<f32>)
// CHECK:           %[[Y:.*]] = linalg.matmul ins(%{{.*}}, %[[N]]
// CHECK:           train.yield %[[N]], %[[Y]]
// CHECK:         %[[DW:.*]] = linalg.matmul ins(%{{.*}}, %[[C]]#0
// CHECK:         return %[[C]]#1, %[[C]]#0, %[[DW]], %[[LRNEW]] :
func.func @step(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %rate: tensor<f32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %lr = math.exp %rate : tensor<f32>
  %y = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %dw = linalg.matmul ins(%y, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw, %lr : tensor<4x4xf32>, tensor<f32>) outs(%w : tensor<4x4xf32>)
  return %y, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A global norm is known in time when updates wait. Both updates read it, and it
// waits once: in two buffers, it could be in place in neither.

// CHECK-LABEL: func.func @clip_first
// CHECK-SAME:    #train.pending<"w", "in0">{{.*}}#train.pending<"w", "in1">{{.*}}#train.pending<"u", "in0">
// CHECK-NOT:     #train.pending<"u", "in1">
// CHECK-LABEL: func.func @clip_flush
// CHECK-SAME:    %[[N:[^ ]*]]: tensor<f32> {train.role = #train.pending<"w", "in1">}
// CHECK:         train.sgd ins(%{{.*}}, %[[N]] :
// CHECK:         train.sgd ins(%{{.*}}, %[[N]] :
// CHECK-LABEL: func.func @clip(
// CHECK-COUNT-2: train.cluster <forward>
func.func private @norm(tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<f32>
func.func @clip(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32> {train.role = #train.next<"u">})
    attributes {train.step} {
  %y = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %o = linalg.matmul ins(%y, %u : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %n = call @norm(%y, %o) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<f32>
  %w1 = train.sgd ins(%o, %n : tensor<4x4xf32>, tensor<f32>) outs(%w : tensor<4x4xf32>)
  %u1 = train.sgd ins(%y, %n : tensor<4x4xf32>, tensor<f32>) outs(%u : tensor<4x4xf32>)
  return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A bias' first reader is no product: the update waits, but alone.

// REMARK: [Missed] {{.*}}update of "b" moved to the next step, but its first reader 'linalg.exp' is no product, so they are not one loop nest
// CHECK-LABEL: func.func @do_not_fuse_reader_is_no_product_first
// CHECK-LABEL: func.func @do_not_fuse_reader_is_no_product(
// CHECK-NOT:     train.cluster
// CHECK:         %[[B:.*]] = train.sgd
// CHECK-NEXT:    linalg.exp ins(%[[B]]
func.func @do_not_fuse_reader_is_no_product(
    %b: tensor<4xf32> {train.role = #train.param<"b">}, %z: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"b">}) attributes {train.step} {
  %e = linalg.exp ins(%b : tensor<4xf32>) outs(%z : tensor<4xf32>) -> tensor<4xf32>
  %b1 = train.sgd ins(%e : tensor<4xf32>) outs(%b : tensor<4xf32>) {lr = 0.1 : f64}
  return %b1 : tensor<4xf32>
}

// -----

// A panel of the result needs the whole of the other operand. Once, the update
// stood in the loop twice, and the second found panels that the first had made.

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but its first reader 'linalg.matmul' reads it through more than one operand, so they are not one loop nest
// CHECK-LABEL: func.func @do_not_fuse_read_twice_first
// CHECK-LABEL: func.func @do_not_fuse_read_twice(
// CHECK-NOT:     train.cluster
// CHECK:         %[[N:.*]] = train.
// CHECK:         linalg.matmul ins(%[[N]], %[[N]]
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_read_twice(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %y = linalg.matmul ins(%w, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%y : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// -----

// The parameter is what the product adds to: no panel of it is read by its name.

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but its first reader 'linalg.matmul' adds to what the update makes, so they are not one loop nest
// CHECK-LABEL: func.func @do_not_fuse_accumulated_onto_first
// CHECK-LABEL: func.func @do_not_fuse_accumulated_onto(
// CHECK-NOT:     train.cluster
// CHECK:         %[[N:.*]] = train.
// CHECK:         linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<4x4xf32>, tensor<4x4xf32>) outs(%[[N]]
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_accumulated_onto(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %y = linalg.matmul ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%y : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// -----

// A vector that is contracted has no panels.

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but its first reader 'linalg.matvec' contracts every dimension of it, so they are not one loop nest
// CHECK-LABEL: func.func @do_not_fuse_all_contracted(
// CHECK-NOT:     train.cluster
// CHECK:         %[[N:.*]] = train.sgd
// CHECK-NEXT:    linalg.matvec ins(%{{.*}}, %[[N]]
func.func @do_not_fuse_all_contracted(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %z: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %y = linalg.matvec ins(%x, %w : tensor<4x4xf32>, tensor<4xf32>) outs(%z : tensor<4xf32>) -> tensor<4xf32>
  %w1 = train.sgd ins(%y : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4xf32>
}

// -----

// The state is read as a whole, while its panels are replaced one by one.

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but its first reader 'linalg.matmul' reads a state that the update makes, so they are not one loop nest
// CHECK-LABEL: func.func @do_not_fuse_reader_of_state_first
// CHECK-LABEL: func.func @do_not_fuse_reader_of_state(
// CHECK-NOT:     train.cluster
// CHECK:         %[[N:.*]]:2 = train.
// CHECK:         linalg.matmul ins(%[[N]]#1, %[[N]]#0
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_reader_of_state(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %m: tensor<4x4xf32> {train.role = #train.state<"w", "m">}, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %y = linalg.matmul ins(%m, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1:2 = train.update "u" ins(%y : tensor<4x4xf32>) outs(%w, %m : tensor<4x4xf32>, tensor<4x4xf32>) {
  ^bb0(%g: tensor<4x4xf32>, %wo: tensor<4x4xf32>, %mo: tensor<4x4xf32>):
    %wn = linalg.add ins(%g, %wo : tensor<4x4xf32>, tensor<4x4xf32>) outs(%wo : tensor<4x4xf32>) -> tensor<4x4xf32>
    %mn = linalg.add ins(%g, %mo : tensor<4x4xf32>, tensor<4x4xf32>) outs(%mo : tensor<4x4xf32>) -> tensor<4x4xf32>
    train.yield %wn, %mn : tensor<4x4xf32>, tensor<4x4xf32>
  } : tensor<4x4xf32>, tensor<4x4xf32>
  return %w1#0, %w1#1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The update gives back the gradient: there is no loop to be one with.

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but no loop makes its new value, so they are not one loop nest
// CHECK-LABEL: func.func @do_not_fuse_no_loop_first
// CHECK-LABEL: func.func @do_not_fuse_no_loop(
// CHECK-NOT:     train.cluster
// CHECK:         %[[N:.*]]:2 = train.
// CHECK:         linalg.matmul ins(%{{.*}}, %[[N]]#0
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_no_loop(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %m: tensor<4x4xf32> {train.role = #train.state<"w", "m">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %y = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1:2 = train.update "u" ins(%y : tensor<4x4xf32>) outs(%w, %m : tensor<4x4xf32>, tensor<4x4xf32>) {
  ^bb0(%g: tensor<4x4xf32>, %wo: tensor<4x4xf32>, %mo: tensor<4x4xf32>):
    train.yield %g, %mo : tensor<4x4xf32>, tensor<4x4xf32>
  } : tensor<4x4xf32>, tensor<4x4xf32>
  return %w1#0, %w1#1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but it reads the whole tensor, not tile by tile, so they are not one loop nest
// CHECK-LABEL: func.func @do_not_fuse_whole_tensor_first
// CHECK-LABEL: func.func @do_not_fuse_whole_tensor(
// CHECK-NOT:     train.cluster
// CHECK:         %[[N:.*]]:2 = train.
// CHECK:         linalg.matmul ins(%{{.*}}, %[[N]]#0
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_whole_tensor(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %m: tensor<4x4xf32> {train.role = #train.state<"w", "m">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %y = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1:2 = train.update "u" ins(%y : tensor<4x4xf32>) outs(%w, %m : tensor<4x4xf32>, tensor<4x4xf32>) {
  ^bb0(%g: tensor<4x4xf32>, %wo: tensor<4x4xf32>, %mo: tensor<4x4xf32>):
    %wn = linalg.matmul ins(%g, %mo : tensor<4x4xf32>, tensor<4x4xf32>) outs(%wo : tensor<4x4xf32>) -> tensor<4x4xf32>
    train.yield %wn, %mo : tensor<4x4xf32>, tensor<4x4xf32>
  } : tensor<4x4xf32>, tensor<4x4xf32>
  return %w1#0, %w1#1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A batch of no images.

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but its first reader 'linalg.matmul' has an operand without a static number of elements
// CHECK-LABEL: func.func @do_not_fuse_empty_operand(
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_empty_operand(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<0x4xf32>, %z: tensor<0x4xf32>, %g: tensor<4x4xf32>)
    -> (tensor<0x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %y = linalg.matmul ins(%x, %w : tensor<0x4xf32>, tensor<4x4xf32>) outs(%z : tensor<0x4xf32>) -> tensor<0x4xf32>
  %w1 = train.sgd ins(%g : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %y, %w1 : tensor<0x4xf32>, tensor<4x4xf32>
}

// -----

// A product of two parameters is in one loop nest with one of them.

// REMARK: [Passed] {{.*}}update of "w" is in one loop nest with its first reader in the next step
// REMARK: [Missed] {{.*}}update of "u" moved to the next step, but its first reader 'train.cluster' is in one loop nest with another update already
// CHECK-LABEL: func.func @do_not_fuse_reader_is_taken(
// CHECK:         %[[U:.*]] = train.sgd
// CHECK-NEXT:    train.cluster <forward> ins({{.*}}%[[U]]
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_reader_is_taken(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">}, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %y = linalg.matmul ins(%w, %u : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%y : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%y : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The first reader is in a loop: the update stays before it, and is made once.

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but its first reader 'scf.for' is no product
// CHECK-LABEL: func.func @do_not_fuse_reader_in_loop(
// CHECK-NOT:     train.cluster
// CHECK:         %[[N:.*]] = train.sgd
// CHECK-NEXT:    scf.for
// CHECK:           linalg.matmul ins(%{{.*}}, %[[N]]
func.func @do_not_fuse_reader_in_loop(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>, %a: index, %b: index, %c: index)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %y = scf.for %i = %a to %b step %c iter_args(%v = %x) -> (tensor<4x4xf32>) {
    %p = linalg.matmul ins(%v, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
    scf.yield %p : tensor<4x4xf32>
  }
  %w1 = train.sgd ins(%y : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// -----

// train-place leaves an update whose new value is used at baseline.

// CHECK-LABEL: func.func @do_not_wait_new_value_used
// CHECK:         linalg.exp
// CHECK-NEXT:    train.sgd
// CHECK-NEXT:    linalg.matmul
// CHECK-NOT:     _first
func.func @do_not_wait_new_value_used(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.exp ins(%x : tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %y = linalg.matmul ins(%x, %w1 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// What the gradient is made from is smaller than it, and waits in its place: the
// rows that went into the layer, and those that came back. The bias' gradient is smaller than what it is the sum
// of, and waits itself. The gradient is made with the update, once, wherever that
// is.

// REMARK: [Passed] {{.*}}update of "w" is in one loop nest with its gradient and its first reader in the next step
// REMARK: [Missed] {{.*}}update of "b" moved to the next step, but its first reader 'linalg.add' is no product
// CHECK-LABEL: func.func @factors_first
// CHECK-SAME:    tensor<2x16xf32> {train.role = #train.pending<"w", "in0">}, tensor<2x8xf32> {train.role = #train.pending<"w", "in1">}, tensor<8xf32> {train.role = #train.pending<"b", "in0">})
// CHECK-NOT:     linalg.matmul {{.*}} -> tensor<16x8xf32>
// CHECK-LABEL: func.func @factors_flush
// CHECK-SAME:    %[[X:[^ ]*]]: tensor<2x16xf32> {train.role = #train.pending<"w", "in0">}, %[[DY:[^ ]*]]: tensor<2x8xf32> {train.role = #train.pending<"w", "in1">}
// CHECK:         train.cluster <backward> ins(%[[X]], %[[DY]],
// CHECK:           linalg.matmul {{.*}} -> tensor<16x8xf32>
// CHECK:           train.sgd
// CHECK-LABEL: func.func @factors(
// CHECK:         train.cluster <forward> ins(%[[OLDX:[^ ,]*]], %{{.*}} : tensor<2x16xf32>, tensor<2x8xf32>
// CHECK:           %[[DW:.*]] = linalg.matmul {{.*}} -> tensor<16x8xf32>
// CHECK:           %[[N:.*]] = train.sgd ins(%[[DW]]
// CHECK:           %[[Y:.*]] = linalg.matmul ins(%{{.*}}, %[[N]]
// CHECK:           train.yield %[[N]], %[[Y]]
// CHECK-NOT:     linalg.matmul {{.*}} -> tensor<16x8xf32>
// CHECK:         return
func.func @factors(
    %w: tensor<16x8xf32> {train.role = #train.param<"w">}, %b: tensor<8xf32> {train.role = #train.param<"b">},
    %x: tensor<2x16xf32>, %bb: tensor<2x8xf32>)
    -> (tensor<2x8xf32>, tensor<16x8xf32> {train.role = #train.next<"w">}, tensor<8xf32> {train.role = #train.next<"b">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x8xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<2x8xf32>) -> tensor<2x8xf32>
  %y = linalg.matmul ins(%x, %w : tensor<2x16xf32>, tensor<16x8xf32>) outs(%z : tensor<2x8xf32>) -> tensor<2x8xf32>
  %be = tensor.empty() : tensor<8xf32>
  %two = linalg.add ins(%b, %b : tensor<8xf32>, tensor<8xf32>) outs(%be : tensor<8xf32>) -> tensor<8xf32>
  %dy = linalg.broadcast ins(%two : tensor<8xf32>) outs(%y : tensor<2x8xf32>) dimensions = [0]
  %we = tensor.empty() : tensor<16x8xf32>
  %wz = linalg.fill ins(%c0 : f32) outs(%we : tensor<16x8xf32>) -> tensor<16x8xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %dy : tensor<2x16xf32>, tensor<2x8xf32>) outs(%wz : tensor<16x8xf32>) -> tensor<16x8xf32>
  %bz = linalg.fill ins(%c0 : f32) outs(%be : tensor<8xf32>) -> tensor<8xf32>
  %db = linalg.reduce { arith.addf } ins(%dy : tensor<2x8xf32>) outs(%bz : tensor<8xf32>) dimensions = [0]
  %w1 = train.sgd ins(%dw : tensor<16x8xf32>) outs(%w : tensor<16x8xf32>) {lr = 0.1 : f64}
  %b1 = train.sgd ins(%db : tensor<8xf32>) outs(%b : tensor<8xf32>) {lr = 0.1 : f64}
  return %y, %w1, %b1 : tensor<2x8xf32>, tensor<16x8xf32>, tensor<8xf32>
}

// -----

// The next step's first reader is no product: the update waits with its gradient,
// and is a cluster there. The decay reads the old value, which is the same until
// then.

// REMARK: [Missed] {{.*}}update of "w" moved to the next step, but its first reader 'linalg.exp' is no product
// CHECK-LABEL: func.func @factors_without_reader(
// CHECK:         %[[N:.*]] = train.cluster <backward>
// CHECK:           linalg.matmul
// CHECK:           linalg.add
// CHECK:           train.sgd
// CHECK:         linalg.exp ins(%[[N]]
// CHECK-NOT:     linalg.matmul
// CHECK:         return
func.func @factors_without_reader(
    %w: tensor<16x8xf32> {train.role = #train.param<"w">}, %x: tensor<2x16xf32>, %dy: tensor<2x8xf32>, %z: tensor<16x8xf32>)
    -> (tensor<16x8xf32>, tensor<16x8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %y = linalg.exp ins(%w : tensor<16x8xf32>) outs(%z : tensor<16x8xf32>) -> tensor<16x8xf32>
  %c0 = arith.constant 0.0 : f32
  %we = tensor.empty() : tensor<16x8xf32>
  %wz = linalg.fill ins(%c0 : f32) outs(%we : tensor<16x8xf32>) -> tensor<16x8xf32>
  %p = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %dy : tensor<2x16xf32>, tensor<2x8xf32>) outs(%wz : tensor<16x8xf32>) -> tensor<16x8xf32>
  %dw = linalg.add ins(%p, %w : tensor<16x8xf32>, tensor<16x8xf32>) outs(%we : tensor<16x8xf32>) -> tensor<16x8xf32>
  %w1 = train.sgd ins(%dw : tensor<16x8xf32>) outs(%w : tensor<16x8xf32>) {lr = 0.1 : f64}
  return %y, %w1 : tensor<16x8xf32>, tensor<16x8xf32>
}

// -----

// A factor that the step replaces is another one when the update runs: the
// gradient is made in time, and waits.

// CHECK-LABEL: func.func @do_not_keep_what_is_replaced_first
// CHECK-SAME:    tensor<16x8xf32> {train.role = #train.pending<"w", "in0">}, tensor<2x16xf32> {train.role = #train.pending<"u", "in0">})
// CHECK-LABEL: func.func @do_not_keep_what_is_replaced(
// CHECK:         train.sgd
// CHECK:         linalg.matmul {{.*}} -> tensor<16x8xf32>
// CHECK:         return
func.func @do_not_keep_what_is_replaced(
    %w: tensor<16x8xf32> {train.role = #train.param<"w">}, %u: tensor<2x16xf32> {train.role = #train.param<"u">}, %g: tensor<2x16xf32>, %dy: tensor<2x8xf32>)
    -> (tensor<16x8xf32> {train.role = #train.next<"w">}, tensor<2x16xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %we = tensor.empty() : tensor<16x8xf32>
  %wz = linalg.fill ins(%c0 : f32) outs(%we : tensor<16x8xf32>) -> tensor<16x8xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%u, %dy : tensor<2x16xf32>, tensor<2x8xf32>) outs(%wz : tensor<16x8xf32>) -> tensor<16x8xf32>
  %w1 = train.sgd ins(%dw : tensor<16x8xf32>) outs(%w : tensor<16x8xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%g : tensor<2x16xf32>) outs(%u : tensor<2x16xf32>) {lr = 0.1 : f64}
  return %w1, %u1 : tensor<16x8xf32>, tensor<2x16xf32>
}

// -----

// Who else reads the gradient, such as a norm, needs it in this step.

// CHECK-LABEL: func.func @do_not_keep_if_gradient_is_read_first
// CHECK-SAME:    tensor<16x8xf32> {train.role = #train.pending<"w", "in0">})
// CHECK-LABEL: func.func @do_not_keep_if_gradient_is_read(
func.func @do_not_keep_if_gradient_is_read(
    %w: tensor<16x8xf32> {train.role = #train.param<"w">}, %x: tensor<2x16xf32>, %dy: tensor<2x8xf32>)
    -> (tensor<16x8xf32>, tensor<16x8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %we = tensor.empty() : tensor<16x8xf32>
  %wz = linalg.fill ins(%c0 : f32) outs(%we : tensor<16x8xf32>) -> tensor<16x8xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %dy : tensor<2x16xf32>, tensor<2x8xf32>) outs(%wz : tensor<16x8xf32>) -> tensor<16x8xf32>
  %w1 = train.sgd ins(%dw : tensor<16x8xf32>) outs(%w : tensor<16x8xf32>) {lr = 0.1 : f64}
  return %dw, %w1 : tensor<16x8xf32>, tensor<16x8xf32>
}

// -----

// What the first layer gives is a factor of the second one's gradient, and made
// anew in the first one's cluster.

// CHECK-LABEL: func.func @factor_made_in_cluster(
// CHECK-SAME:    %[[X1:[^ ]*]]: tensor<2x16xf32> {train.role = #train.pending<"w", "in0">}, %[[DY:[^ ]*]]: tensor<2x16xf32> {train.role = #train.pending<"w", "in1">}, %[[Y1:[^ ]*]]: tensor<2x16xf32> {train.role = #train.pending<"u", "in0">}, %[[DO:[^ ]*]]: tensor<2x16xf32> {train.role = #train.pending<"u", "in1">})
// CHECK:         %[[C:.*]]:2 = train.cluster <forward> ins(%[[X1]], %[[DY]], %{{.*}}
// CHECK:         %[[D:.*]]:2 = train.cluster <forward> ins(%[[Y1]], %[[DO]], %{{.*}}, %[[C]]#1
// CHECK:         return %{{.*}}, %[[C]]#0, %[[D]]#0, %{{.*}}, %{{.*}}, %[[C]]#1, %{{.*}} :
func.func @factor_made_in_cluster(
    %w: tensor<16x16xf32> {train.role = #train.param<"w">}, %u: tensor<16x16xf32> {train.role = #train.param<"u">}, %x: tensor<2x16xf32>)
    -> (tensor<2x16xf32>, tensor<16x16xf32> {train.role = #train.next<"w">}, tensor<16x16xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x16xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<2x16xf32>) -> tensor<2x16xf32>
  %y = linalg.matmul ins(%x, %w : tensor<2x16xf32>, tensor<16x16xf32>) outs(%z : tensor<2x16xf32>) -> tensor<2x16xf32>
  %o = linalg.matmul ins(%y, %u : tensor<2x16xf32>, tensor<16x16xf32>) outs(%z : tensor<2x16xf32>) -> tensor<2x16xf32>
  %we = tensor.empty() : tensor<16x16xf32>
  %wz = linalg.fill ins(%c0 : f32) outs(%we : tensor<16x16xf32>) -> tensor<16x16xf32>
  %du = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%y, %o : tensor<2x16xf32>, tensor<2x16xf32>) outs(%wz : tensor<16x16xf32>) -> tensor<16x16xf32>
  %dy = linalg.exp ins(%o : tensor<2x16xf32>) outs(%e : tensor<2x16xf32>) -> tensor<2x16xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %dy : tensor<2x16xf32>, tensor<2x16xf32>) outs(%wz : tensor<16x16xf32>) -> tensor<16x16xf32>
  %w1 = train.sgd ins(%dw : tensor<16x16xf32>) outs(%w : tensor<16x16xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%du : tensor<16x16xf32>) outs(%u : tensor<16x16xf32>) {lr = 0.1 : f64}
  return %o, %w1, %u1 : tensor<2x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>
}

// -----

// A number that is no tensor does not cross the boundary of a step.

// CHECK-LABEL: func.func @do_not_keep_a_scalar_first
// CHECK-SAME:    tensor<16x8xf32> {train.role = #train.pending<"w", "in0">})
func.func @do_not_keep_a_scalar(
    %w: tensor<16x8xf32> {train.role = #train.param<"w">}, %x: tensor<2x16xf32>, %dy: tensor<2x8xf32>, %s: tensor<f32>)
    -> (tensor<16x8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %start = tensor.extract %s[] : tensor<f32>
  %we = tensor.empty() : tensor<16x8xf32>
  %wz = linalg.fill ins(%start : f32) outs(%we : tensor<16x8xf32>) -> tensor<16x8xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %dy : tensor<2x16xf32>, tensor<2x8xf32>) outs(%wz : tensor<16x8xf32>) -> tensor<16x8xf32>
  %w1 = train.sgd ins(%dw : tensor<16x8xf32>) outs(%w : tensor<16x8xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<16x8xf32>
}
