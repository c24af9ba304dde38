// RUN: plait-opt %s -train-fold-transposes -canonicalize | FileCheck %s

// torch-mlir writes x * W^T as a transpose and a product. The product then
// reads W itself, so that the update of W waits for the product and no copy of W
// is made.

// CHECK-DAG:   #[[$MK:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG:   #[[$NK:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG:   #[[$MN:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG:   #[[$A:.*]] = affine_map<(d0, d1, d2, d3) -> (d1, d3, d0)>
// CHECK-LABEL: func.func @matmul
// CHECK-SAME:    %[[X:[^ ]*]]: tensor<8x4xf32>, %[[W:[^ ]*]]: tensor<16x4xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         linalg.generic {indexing_maps = [#[[$MK]], #[[$NK]], #[[$MN]]]
// CHECK-SAME:      ins(%[[X]], %[[W]]
func.func @matmul(%x: tensor<8x4xf32>, %w: tensor<16x4xf32>, %z: tensor<8x16xf32>) -> tensor<8x16xf32> {
  %e = tensor.empty() : tensor<4x16xf32>
  %wt = linalg.transpose ins(%w : tensor<16x4xf32>) outs(%e : tensor<4x16xf32>) permutation = [1, 0]
  %0 = linalg.matmul ins(%x, %wt : tensor<8x4xf32>, tensor<4x16xf32>) outs(%z : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %0 : tensor<8x16xf32>
}

// A generic that only permutes is a transpose too; a permutation of three
// dimensions shows which way round it is composed.

// CHECK-LABEL: func.func @batch
// CHECK-SAME:    %[[A:[^ ]*]]: tensor<3x5x2xf32>
// CHECK:         linalg.generic {indexing_maps = [#[[$A]],
// CHECK-SAME:      ins(%[[A]], %{{.*}} : tensor<3x5x2xf32>, tensor<2x5x7xf32>)
func.func @batch(%a: tensor<3x5x2xf32>, %b: tensor<2x5x7xf32>, %z: tensor<2x3x7xf32>) -> tensor<2x3x7xf32> {
  %e = tensor.empty() : tensor<2x3x5xf32>
  %at = linalg.generic {
      indexing_maps = [affine_map<(i, j, k) -> (j, k, i)>, affine_map<(i, j, k) -> (i, j, k)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%a : tensor<3x5x2xf32>) outs(%e : tensor<2x3x5xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  } -> tensor<2x3x5xf32>
  %0 = linalg.batch_matmul ins(%at, %b : tensor<2x3x5xf32>, tensor<2x5x7xf32>) outs(%z : tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return %0 : tensor<2x3x7xf32>
}

// A reader that is no product keeps its transpose.

// CHECK-LABEL: func.func @do_not_fold_into_elementwise
// CHECK:         linalg.transpose
func.func @do_not_fold_into_elementwise(%w: tensor<16x4xf32>, %z: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %e = tensor.empty() : tensor<4x16xf32>
  %wt = linalg.transpose ins(%w : tensor<16x4xf32>) outs(%e : tensor<4x16xf32>) permutation = [1, 0]
  %0 = linalg.exp ins(%wt : tensor<4x16xf32>) outs(%z : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// Scaling is not copying.

// CHECK-LABEL: func.func @do_not_fold_arithmetic
// CHECK:         arith.mulf
// CHECK:         linalg.matmul
func.func @do_not_fold_arithmetic(%x: tensor<8x4xf32>, %w: tensor<16x4xf32>, %z: tensor<8x16xf32>) -> tensor<8x16xf32> {
  %e = tensor.empty() : tensor<4x16xf32>
  %wt = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x4xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.mulf %i, %i : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  %0 = linalg.matmul ins(%x, %wt : tensor<8x4xf32>, tensor<4x16xf32>) outs(%z : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %0 : tensor<8x16xf32>
}
