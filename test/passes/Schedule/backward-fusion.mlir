// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=backward},train-backward-fusion))' \
// RUN:   | FileCheck %s
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=backward},train-backward-fusion))' \
// RUN:   --remarks-filter='train-backward-fusion' --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// torch's order: dX, which reads W, is there before dW. The cluster takes dW's
// place; the zeros it starts from are its own.

// REMARK: [Passed] backward-fusion | Category:train-backward-fusion | Function=w | Remark="update of "w" is in one loop nest with its gradient"
// CHECK-LABEL: func.func @torch_order
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<4x4xf32> {train.role = #train.param<"w">}, %[[X:[^ ]*]]: tensor<4x4xf32>, %[[DY:[^ ]*]]: tensor<4x4xf32>
// CHECK:         %[[DX:.*]] = linalg.matmul ins(%[[DY]], %[[W]]
// CHECK:         %[[W1:.*]] = train.cluster <backward> ins({{.*}}%[[W]]
// CHECK:         ^bb0(
// CHECK:           tensor.empty
// CHECK:           linalg.fill
// CHECK:           %[[G:.*]] = linalg.matmul
// CHECK:           %[[N:.*]] = train.sgd ins(%[[G]] : tensor<4x4xf32>)
// CHECK:           train.yield %[[N]] : tensor<4x4xf32>
// CHECK:         return %[[DX]], %[[W1]]
func.func @torch_order(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %dx = linalg.matmul ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %dw = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%f : tensor<4x4xf32>) -> tensor<4x4xf32>
  %later = linalg.exp ins(%dx : tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %dx, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// JAX's order: dW comes first, and W is read once more, for dX. The cluster,
// the product of dW with it, comes after that; what follows stays behind it.

// CHECK-LABEL: func.func @jax_order
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<4x4xf32>
// CHECK-NOT:     train.cluster
// CHECK:         %[[DX:.*]] = linalg.matmul ins(%{{.*}}, %[[W]]
// CHECK-NEXT:    train.cluster <backward>
// CHECK:           linalg.matmul
// CHECK:           train.sgd
// CHECK:         linalg.exp
func.func @jax_order(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %dx = linalg.matmul ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %later = linalg.exp ins(%dx : tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %later, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A tied weight: two products contribute, and their sum is the gradient. All
// three are in the cluster.

// CHECK-LABEL: func.func @tied_weight
// CHECK-NOT:     linalg.matmul
// CHECK:         train.cluster <backward>
// CHECK-COUNT-2:   linalg.matmul
// CHECK:           linalg.add
// CHECK:           train.sgd
// CHECK:         return
func.func @tied_weight(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %a = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %b = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  %dw = linalg.add ins(%a, %b : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// -----

// The gradient of a bias is a reduction. Its learning rate is an operand, and
// made later than the gradient: the cluster waits for it.

// CHECK-LABEL: func.func @bias_with_lr_operand
// CHECK:         %[[LR:.*]] = math.exp
// CHECK-NEXT:    train.cluster <backward> ins({{.*}}%[[LR]]
// CHECK:           linalg.reduce
// CHECK:           train.sgd ins(%{{.*}}, %{{.*}} : tensor<4xf32>, tensor<f32>)
func.func @bias_with_lr_operand(
    %b: tensor<4xf32> {train.role = #train.param<"b">}, %dy: tensor<8x4xf32>, %rate: tensor<f32>, %z: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"b">}) attributes {train.step} {
  %db = linalg.reduce { arith.addf } ins(%dy : tensor<8x4xf32>) outs(%z : tensor<4xf32>) dimensions = [0]
  %lr = math.exp %rate : tensor<f32>
  %b1 = train.sgd ins(%db, %lr : tensor<4xf32>, tensor<f32>) outs(%b : tensor<4xf32>)
  return %b1 : tensor<4xf32>
}

// -----

// A tied weight: both products are in the update's loop nest. Of the other, one
// gradient has another user; it is stored, the product of the other is fused.

// REMARK: [Passed] {{.*}}update of "w" is in one loop nest with its gradient
// REMARK: [Passed] {{.*}}update of "u" is in one loop nest with its gradient
// CHECK-LABEL: func.func @two_gradients
// CHECK:         %[[STORED:.*]] = linalg.matmul
// CHECK:         train.cluster <backward>
// CHECK-COUNT-2:   linalg.matmul
// CHECK:           train.update "two"
// CHECK:         train.cluster <backward> ins({{.*}}%[[STORED]]
// CHECK:           linalg.matmul
// CHECK-NOT:       linalg.matmul
// CHECK:           train.update "two"
// CHECK:         return %{{.*}}, %{{.*}}, %[[STORED]]
func.func @two_gradients(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32> {train.role = #train.next<"u">}, tensor<4x4xf32>)
    attributes {train.step} {
  %s = linalg.matmul ins(%dy, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %a = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %b = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %c = linalg.matmul ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.update "two" ins(%a, %b : tensor<4x4xf32>, tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {
  ^bb0(%g: tensor<4x4xf32>, %h: tensor<4x4xf32>, %old: tensor<4x4xf32>):
    %n = linalg.add ins(%g, %h : tensor<4x4xf32>, tensor<4x4xf32>) outs(%old : tensor<4x4xf32>) -> tensor<4x4xf32>
    train.yield %n : tensor<4x4xf32>
  } : tensor<4x4xf32>
  %u1 = train.update "two" ins(%s, %c : tensor<4x4xf32>, tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {
  ^bb0(%g: tensor<4x4xf32>, %h: tensor<4x4xf32>, %old: tensor<4x4xf32>):
    %n = linalg.add ins(%g, %h : tensor<4x4xf32>, tensor<4x4xf32>) outs(%old : tensor<4x4xf32>) -> tensor<4x4xf32>
    train.yield %n : tensor<4x4xf32>
  } : tensor<4x4xf32>
  return %w1, %u1, %s : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The gradient is returned too: the update moves to it, but it is stored.

// REMARK: [Missed] {{.*}}update of "w" moved to its gradient, but is not fused: its gradient has other users, so it is stored
// CHECK-LABEL: func.func @do_not_fuse_gradient_has_other_users
// CHECK-NOT:     train.cluster
// CHECK:         linalg.matmul
// CHECK-NEXT:    train.sgd
// CHECK-NEXT:    linalg.exp
// CHECK-NOT:     train.cluster
func.func @do_not_fuse_gradient_has_other_users(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %later = linalg.exp ins(%dy : tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %dw, %later, %w1 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// REMARK: [Missed] {{.*}}is not fused: its gradient is made by no linalg op
// CHECK-LABEL: func.func @do_not_fuse_gradient_from_no_linalg_op
// CHECK-NOT:     train.cluster
func.func @do_not_fuse_gradient_from_no_linalg_op(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %n = arith.negf %g : tensor<4xf32>
  %w1 = train.sgd ins(%n : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4xf32>
}

// -----

// Muon-like: the update multiplies the whole gradient.

// REMARK: [Missed] {{.*}}is not fused: it reads the whole tensor, not tile by tile
// CHECK-LABEL: func.func @do_not_fuse_whole_tensor
// CHECK-NOT:     train.cluster
func.func @do_not_fuse_whole_tensor(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.matmul ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.update "whole" ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {
  ^bb0(%g: tensor<4x4xf32>, %old: tensor<4x4xf32>):
    %n = linalg.matmul ins(%g, %g : tensor<4x4xf32>, tensor<4x4xf32>) outs(%old : tensor<4x4xf32>) -> tensor<4x4xf32>
    train.yield %n : tensor<4x4xf32>
  } : tensor<4x4xf32>
  return %w1 : tensor<4x4xf32>
}

// -----

// A shared intermediate is not pulled in: only its user is.

// CHECK-LABEL: func.func @do_not_take_shared_producer
// CHECK:         %[[P:.*]] = linalg.matmul
// CHECK:         train.cluster <backward> ins({{.*}}%[[P]]
// CHECK-NOT:       linalg.matmul
// CHECK:           linalg.exp
// CHECK:           train.sgd
// CHECK:         return %[[P]]
func.func @do_not_take_shared_producer(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %p = linalg.matmul ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  %dw = linalg.exp ins(%p : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %p, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The gradient of |W W^T|: a panel of it needs all rows of the old W, some of
// which other panels would have replaced.

// REMARK: update of "w" moved to its gradient, but is not fused: its gradient is made from the old parameter as a whole, so it is stored
// CHECK-LABEL: func.func @do_not_fuse_product_with_the_parameter
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_product_with_the_parameter(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %y: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.matmul ins(%y, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// -----

// The same, from a part of W, and from W transposed in an elementwise op.

// CHECK-LABEL: func.func @do_not_fuse_view_of_the_parameter
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_view_of_the_parameter(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %y: tensor<4x2xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %part = tensor.extract_slice %w[2, 0] [2, 4] [1, 1] : tensor<4x4xf32> to tensor<2x4xf32>
  %dw = linalg.matmul ins(%y, %part : tensor<4x2xf32>, tensor<2x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// CHECK-LABEL: func.func @do_not_fuse_transposed_parameter
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_transposed_parameter(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %y: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<4x4xf32>) outs(%y : tensor<4x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// -----

// L2 regularisation reads the element that is replaced, and no other.

// CHECK-LABEL: func.func @fuse_regularization
// CHECK:         train.cluster <backward>
// CHECK:           linalg.generic
// CHECK:           train.sgd
func.func @fuse_regularization(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %y: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<4x4xf32>) outs(%y : tensor<4x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<4x4xf32>
}

// -----

// REMARK: update of "w" moved to its gradient, but is not fused: its gradient is made by a convolution, so it is stored
// CHECK-LABEL: func.func @do_not_fuse_convolution
// CHECK-NOT:     train.cluster
// CHECK:         return
func.func @do_not_fuse_convolution(
    %w: tensor<2x3x3x3xf32> {train.role = #train.param<"w">}, %x: tensor<2x4x8x8xf32>, %dy: tensor<3x4x6x6xf32>, %z: tensor<2x3x3x3xf32>)
    -> (tensor<2x3x3x3xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %dw = linalg.conv_2d_nchw_fchw ins(%x, %dy : tensor<2x4x8x8xf32>, tensor<3x4x6x6xf32>) outs(%z : tensor<2x3x3x3xf32>) -> tensor<2x3x3x3xf32>
  %w1 = train.sgd ins(%dw : tensor<2x3x3x3xf32>) outs(%w : tensor<2x3x3x3xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<2x3x3x3xf32>
}
