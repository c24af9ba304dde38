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
