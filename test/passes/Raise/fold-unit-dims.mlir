// RUN: plait-opt %s -train-fold-unit-dims | FileCheck %s
// RUN: plait-opt %s --pass-pipeline='builtin.module(train-fold-unit-dims,func.func(train-place{policy=backward},train-backward-fusion))' | FileCheck %s --check-prefix=FUSED

// torch-mlir sums a bias gradient into [1, N] and reshapes it. The reshape goes
// into the reduction, whose destination has the final shape.

// CHECK-DAG:   #[[$MN:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG:   #[[$N:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @bias
// CHECK-NOT:     tensor.collapse_shape
// CHECK:         %[[INIT:.*]] = linalg.fill {{.*}} -> tensor<8xf32>
// CHECK:         linalg.generic {indexing_maps = [#[[$MN]], #[[$N]]], iterator_types = ["reduction", "parallel"]}
// CHECK-SAME:      outs(%[[INIT]] : tensor<8xf32>)
// CHECK-NOT:     tensor.collapse_shape
// CHECK:         train.sgd

// The update is then in one nest with the reduction.

// FUSED-LABEL: func.func @bias
// FUSED:         train.cluster <backward>
// FUSED:           linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]
// FUSED:           train.sgd
func.func @bias(%b: tensor<8xf32> {train.role = #train.param<"b">}, %dy: tensor<32x8xf32>)
    -> (tensor<8xf32> {train.role = #train.next<"b">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<1x8xf32>) -> tensor<1x8xf32>
  %0 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (0, n)>],
      iterator_types = ["reduction", "parallel"]}
      ins(%dy : tensor<32x8xf32>) outs(%z : tensor<1x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %o : f32
    linalg.yield %s : f32
  } -> tensor<1x8xf32>
  %db = tensor.collapse_shape %0 [[0, 1]] : tensor<1x8xf32> into tensor<8xf32>
  %b1 = train.sgd ins(%db : tensor<8xf32>) outs(%b : tensor<8xf32>) {lr = 0.1 : f64}
  return %b1 : tensor<8xf32>
}

// A unit dimension that is a loop of the op: the loop stays, and no longer
// indexes the result.

// CHECK-LABEL: func.func @unit_loop
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction", "parallel", "reduction"]
// CHECK:         } -> tensor<8xf32>
// CHECK-NOT:     tensor.collapse_shape
func.func @unit_loop(%dy: tensor<1x8x32xf32>, %z: tensor<1x8xf32>) -> tensor<8xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(b, n, m) -> (b, n, m)>, affine_map<(b, n, m) -> (b, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%dy : tensor<1x8x32xf32>) outs(%z : tensor<1x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %o : f32
    linalg.yield %s : f32
  } -> tensor<1x8xf32>
  %1 = tensor.collapse_shape %0 [[0, 1]] : tensor<1x8xf32> into tensor<8xf32>
  return %1 : tensor<8xf32>
}

// CHECK-LABEL: func.func @do_not_fold_joined_dims
// CHECK:         tensor.collapse_shape %{{.*}} {{\[\[}}0, 1]] : tensor<4x8xf32> into tensor<32xf32>
func.func @do_not_fold_joined_dims(%x: tensor<4x8x32xf32>, %z: tensor<4x8xf32>) -> tensor<32xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(b, n, m) -> (b, n, m)>, affine_map<(b, n, m) -> (b, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x : tensor<4x8x32xf32>) outs(%z : tensor<4x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %o : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  %1 = tensor.collapse_shape %0 [[0, 1]] : tensor<4x8xf32> into tensor<32xf32>
  return %1 : tensor<32xf32>
}

// CHECK-LABEL: func.func @do_not_fold_other_users
// CHECK:         tensor.collapse_shape
func.func @do_not_fold_other_users(%dy: tensor<32x8xf32>, %z: tensor<1x8xf32>) -> (tensor<8xf32>, tensor<1x8xf32>) {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (0, n)>],
      iterator_types = ["reduction", "parallel"]}
      ins(%dy : tensor<32x8xf32>) outs(%z : tensor<1x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %o : f32
    linalg.yield %s : f32
  } -> tensor<1x8xf32>
  %1 = tensor.collapse_shape %0 [[0, 1]] : tensor<1x8xf32> into tensor<8xf32>
  return %1, %0 : tensor<8xf32>, tensor<1x8xf32>
}

// A window of one row: without the result, nothing says how large d1 is.

// CHECK-LABEL: func.func @do_not_fold_lost_extent
// CHECK:         tensor.collapse_shape
func.func @do_not_fold_lost_extent(%x: tensor<3x6xf32>, %k: tensor<3xf32>, %z: tensor<1x6xf32>) -> tensor<6xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(h, w, c) -> (h + c, w)>, affine_map<(h, w, c) -> (c)>,
                       affine_map<(h, w, c) -> (h, w)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %k : tensor<3x6xf32>, tensor<3xf32>) outs(%z : tensor<1x6xf32>) {
  ^bb0(%i: f32, %w: f32, %o: f32):
    %p = arith.mulf %i, %w : f32
    %s = arith.addf %p, %o : f32
    linalg.yield %s : f32
  } -> tensor<1x6xf32>
  %1 = tensor.collapse_shape %0 [[0, 1]] : tensor<1x6xf32> into tensor<6xf32>
  return %1 : tensor<6xf32>
}
