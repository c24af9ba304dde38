// RUN: plait-opt %s -train-mark-dots | FileCheck %s

#rows = affine_map<(m, n, k) -> (m, k)>
#lanes = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>

// One sample by a weight [out, in], on tensors and on buffers.
// CHECK-LABEL: func @one_sample
// CHECK:         linalg.matmul {{.*}}plait.dot
func.func @one_sample(%x: tensor<1x784xf32>, %w: tensor<100x784xf32>, %o: tensor<1x100xf32>) -> tensor<1x100xf32> {
  %r = linalg.matmul indexing_maps = [#rows, #lanes, #out]
      ins(%x, %w : tensor<1x784xf32>, tensor<100x784xf32>) outs(%o : tensor<1x100xf32>) -> tensor<1x100xf32>
  return %r : tensor<1x100xf32>
}

// CHECK-LABEL: func @vector
// CHECK:         linalg.matvec {{.*}}plait.dot
func.func @vector(%w: memref<100x784xf32>, %x: memref<784xf32>, %o: memref<100xf32>) {
  linalg.matvec ins(%w, %x : memref<100x784xf32>, memref<784xf32>) outs(%o : memref<100xf32>)
  return
}

// CHECK-LABEL: func @do_not_mark_many_rows
// CHECK-NOT:     plait.dot
func.func @do_not_mark_many_rows(%x: tensor<9x784xf32>, %w: tensor<100x784xf32>, %o: tensor<9x100xf32>) -> tensor<9x100xf32> {
  %r = linalg.matmul indexing_maps = [#rows, #lanes, #out]
      ins(%x, %w : tensor<9x784xf32>, tensor<100x784xf32>) outs(%o : tensor<9x100xf32>) -> tensor<9x100xf32>
  return %r : tensor<9x100xf32>
}

// The weight lies along its lanes, which register tiles load as they are.
// CHECK-LABEL: func @do_not_mark_other_layout
// CHECK-NOT:     plait.dot
func.func @do_not_mark_other_layout(%x: tensor<1x784xf32>, %w: tensor<784x100xf32>, %o: tensor<1x100xf32>) -> tensor<1x100xf32> {
  %r = linalg.matmul ins(%x, %w : tensor<1x784xf32>, tensor<784x100xf32>) outs(%o : tensor<1x100xf32>) -> tensor<1x100xf32>
  return %r : tensor<1x100xf32>
}

// CHECK-LABEL: func @do_not_mark_f64
// CHECK-NOT:     plait.dot
func.func @do_not_mark_f64(%w: memref<100x784xf64>, %x: memref<784xf64>, %o: memref<100xf64>) {
  linalg.matvec ins(%w, %x : memref<100x784xf64>, memref<784xf64>) outs(%o : memref<100xf64>)
  return
}

// CHECK-LABEL: func @do_not_mark_batches
// CHECK-NOT:     plait.dot
func.func @do_not_mark_batches(%x: memref<4x100x784xf32>, %w: memref<4x784xf32>, %o: memref<4x100xf32>) {
  linalg.batch_matvec ins(%x, %w : memref<4x100x784xf32>, memref<4x784xf32>) outs(%o : memref<4x100xf32>)
  return
}
