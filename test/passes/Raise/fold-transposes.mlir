// RUN: plait-opt %s -train-fold-transposes -canonicalize | FileCheck %s

// torch-mlir writes x * W^T as a transpose and a product. The product then
// reads W itself, so that the update of W waits for the product and no copy of W
// is made.

// CHECK-DAG:   #[[$MK:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG:   #[[$NK:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG:   #[[$MN:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG:   #[[$A:.*]] = affine_map<(d0, d1, d2, d3) -> (d1, d3, d0)>
// CHECK-DAG:   #[[$NM:.*]] = affine_map<(d0, d1, d2) -> (d1, d0)>
// CHECK-DAG:   #[[$JKI:.*]] = affine_map<(d0, d1, d2, d3) -> (d1, d2, d0)>
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

// JAX computes dW^T and transposes it. The product writes dW; nothing is left
// between it and the update.

// CHECK-LABEL: func.func @result
// CHECK-SAME:    %[[A:[^ ]*]]: tensor<8x4xf32>, %[[B:[^ ]*]]: tensor<8x16xf32>
// CHECK-DAG:     %[[E:.*]] = tensor.empty() : tensor<4x16xf32>
// CHECK:         %[[F:.*]] = linalg.fill ins(%{{.*}}) outs(%[[E]] : tensor<4x16xf32>)
// CHECK-NEXT:    %[[R:.*]] = linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #[[$NM]]], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[B]], %[[A]] : {{.*}}) outs(%[[F]] :
// CHECK:         return %[[R]]
func.func @result(%a: tensor<8x4xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<16x4xf32>) -> tensor<16x4xf32>
  %0 = linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%b, %a : tensor<8x16xf32>, tensor<8x4xf32>) outs(%f : tensor<16x4xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<16x4xf32>
  %e1 = tensor.empty() : tensor<4x16xf32>
  %t = linalg.transpose ins(%0 : tensor<16x4xf32>) outs(%e1 : tensor<4x16xf32>) permutation = [1, 0]
  return %t : tensor<4x16xf32>
}

// Three dimensions: element (a, b, c) of the transpose is element (c, a, b) of
// the sum, so the sum's (i, j, k) goes to (j, k, i).

// CHECK-LABEL: func.func @reduction_result
// CHECK:         linalg.generic {indexing_maps = [#{{.*}}, #[[$JKI]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
// CHECK-SAME:      outs(%{{.*}} : tensor<3x5x2xf32>)
// CHECK-NOT:     linalg.transpose
func.func @reduction_result(%a: tensor<2x3x5x7xf32>) -> tensor<3x5x2xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x3x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x3x5xf32>) -> tensor<2x3x5xf32>
  %0 = linalg.reduce { arith.addf } ins(%a : tensor<2x3x5x7xf32>) outs(%f : tensor<2x3x5xf32>) dimensions = [3]
  %e1 = tensor.empty() : tensor<3x5x2xf32>
  %t = linalg.transpose ins(%0 : tensor<2x3x5xf32>) outs(%e1 : tensor<3x5x2xf32>) permutation = [1, 2, 0]
  return %t : tensor<3x5x2xf32>
}

// CHECK-LABEL: func.func @do_not_fold_result_with_other_users
// CHECK:         linalg.matmul
// CHECK:         linalg.transpose
func.func @do_not_fold_result_with_other_users(%a: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %0 = linalg.matmul ins(%a, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%f : tensor<4x4xf32>) -> tensor<4x4xf32>
  %t = linalg.transpose ins(%0 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) permutation = [1, 0]
  return %0, %t : tensor<4x4xf32>, tensor<4x4xf32>
}

// What the product adds to would have to be transposed instead.

// CHECK-LABEL: func.func @do_not_fold_result_of_accumulation
// CHECK:         linalg.matmul
// CHECK:         linalg.transpose
func.func @do_not_fold_result_of_accumulation(%a: tensor<4x4xf32>, %z: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = linalg.matmul ins(%a, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %e = tensor.empty() : tensor<4x4xf32>
  %t = linalg.transpose ins(%0 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) permutation = [1, 0]
  return %t : tensor<4x4xf32>
}
