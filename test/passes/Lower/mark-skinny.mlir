// RUN: plait-opt %s -train-mark-skinny | FileCheck %s

#rows = affine_map<(m, n, k) -> (m, k)>
#lanes = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>

// One sample by a weight [out, in], on tensors and on buffers: the whole of k at a
// time.
// CHECK-LABEL: func @one_sample
// CHECK:         linalg.matmul {{.*}}plait.dot = 784 : i64
func.func @one_sample(%x: tensor<1x784xf32>, %w: tensor<100x784xf32>, %o: tensor<1x100xf32>) -> tensor<1x100xf32> {
  %r = linalg.matmul indexing_maps = [#rows, #lanes, #out]
      ins(%x, %w : tensor<1x784xf32>, tensor<100x784xf32>) outs(%o : tensor<1x100xf32>) -> tensor<1x100xf32>
  return %r : tensor<1x100xf32>
}

// CHECK-LABEL: func @vector
// CHECK:         linalg.matvec {{.*}}plait.dot = 784 : i64
func.func @vector(%w: memref<100x784xf32>, %x: memref<784xf32>, %o: memref<100xf32>) {
  linalg.matvec ins(%w, %x : memref<100x784xf32>, memref<784xf32>) outs(%o : memref<100xf32>)
  return
}

// Of more than a tile's samples, in blocks.
// CHECK-LABEL: func @some_samples
// CHECK:         linalg.matmul {{.*}}plait.dot = 1024 : i64
func.func @some_samples(%x: tensor<9x784xf32>, %w: tensor<100x784xf32>, %o: tensor<9x100xf32>) -> tensor<9x100xf32> {
  %r = linalg.matmul indexing_maps = [#rows, #lanes, #out]
      ins(%x, %w : tensor<9x784xf32>, tensor<100x784xf32>) outs(%o : tensor<9x100xf32>) -> tensor<9x100xf32>
  return %r : tensor<9x100xf32>
}

// CHECK-LABEL: func @do_not_mark_many_rows
// CHECK-NOT:     plait.dot
func.func @do_not_mark_many_rows(%x: tensor<65x784xf32>, %w: tensor<100x784xf32>, %o: tensor<65x100xf32>) -> tensor<65x100xf32> {
  %r = linalg.matmul indexing_maps = [#rows, #lanes, #out]
      ins(%x, %w : tensor<65x784xf32>, tensor<100x784xf32>) outs(%o : tensor<65x100xf32>) -> tensor<65x100xf32>
  return %r : tensor<65x100xf32>
}

// The weight lies along its lanes: k is divided, into parts of 64 Ki elements.
// CHECK-LABEL: func @split
// CHECK:         linalg.matmul {{.*}}plait.split_k = 8 : i64
func.func @split(%x: tensor<1x1024xf32>, %w: tensor<1024x512xf32>, %o: tensor<1x512xf32>) -> tensor<1x512xf32> {
  %r = linalg.matmul ins(%x, %w : tensor<1x1024xf32>, tensor<1024x512xf32>) outs(%o : tensor<1x512xf32>) -> tensor<1x512xf32>
  return %r : tensor<1x512xf32>
}

// So that the sums are an eighth of the weight: 4 parts of 32 rows for 1024.
// CHECK-LABEL: func @split_many_rows
// CHECK:         linalg.matmul {{.*}}plait.split_k = 4 : i64
func.func @split_many_rows(%x: tensor<32x1024xf32>, %w: tensor<1024x1024xf32>, %o: tensor<32x1024xf32>) -> tensor<32x1024xf32> {
  %r = linalg.matmul ins(%x, %w : tensor<32x1024xf32>, tensor<1024x1024xf32>) outs(%o : tensor<32x1024xf32>) -> tensor<32x1024xf32>
  return %r : tensor<32x1024xf32>
}

// Parts are equal: 1000 is 8 x 125.
// CHECK-LABEL: func @split_other_length
// CHECK:         linalg.vecmat {{.*}}plait.split_k = 8 : i64
func.func @split_other_length(%x: tensor<1000xf32>, %w: tensor<1000x4096xf32>, %o: tensor<4096xf32>) -> tensor<4096xf32> {
  %r = linalg.vecmat ins(%x, %w : tensor<1000xf32>, tensor<1000x4096xf32>) outs(%o : tensor<4096xf32>) -> tensor<4096xf32>
  return %r : tensor<4096xf32>
}

// A weight of 64 Ki elements is worth threads with 8 rows, not with one.
// CHECK-LABEL: func @split_rows_of_small_weight
// CHECK:         linalg.matmul {{.*}}plait.split_k = 4 : i64
// CHECK-LABEL: func @do_not_split_row_of_small_weight
// CHECK-NOT:     plait.
func.func @split_rows_of_small_weight(%x: tensor<8x256xf32>, %w: tensor<256x256xf32>, %o: tensor<8x256xf32>) -> tensor<8x256xf32> {
  %r = linalg.matmul ins(%x, %w : tensor<8x256xf32>, tensor<256x256xf32>) outs(%o : tensor<8x256xf32>) -> tensor<8x256xf32>
  return %r : tensor<8x256xf32>
}
func.func @do_not_split_row_of_small_weight(%x: tensor<1x256xf32>, %w: tensor<256x256xf32>, %o: tensor<1x256xf32>) -> tensor<1x256xf32> {
  %r = linalg.matmul ins(%x, %w : tensor<1x256xf32>, tensor<256x256xf32>) outs(%o : tensor<1x256xf32>) -> tensor<1x256xf32>
  return %r : tensor<1x256xf32>
}

// CHECK-LABEL: func @do_not_split_odd_length
// CHECK-NOT:     plait.
func.func @do_not_split_odd_length(%x: tensor<1x1023xf32>, %w: tensor<1023x512xf32>, %o: tensor<1x512xf32>) -> tensor<1x512xf32> {
  %r = linalg.matmul ins(%x, %w : tensor<1x1023xf32>, tensor<1023x512xf32>) outs(%o : tensor<1x512xf32>) -> tensor<1x512xf32>
  return %r : tensor<1x512xf32>
}

// CHECK-LABEL: func @do_not_split_small_weight
// CHECK-NOT:     plait.
func.func @do_not_split_small_weight(%x: tensor<1x784xf32>, %w: tensor<784x100xf32>, %o: tensor<1x100xf32>) -> tensor<1x100xf32> {
  %r = linalg.matmul ins(%x, %w : tensor<1x784xf32>, tensor<784x100xf32>) outs(%o : tensor<1x100xf32>) -> tensor<1x100xf32>
  return %r : tensor<1x100xf32>
}

// CHECK-LABEL: func @do_not_split_many_rows
// CHECK-NOT:     plait.
func.func @do_not_split_many_rows(%x: tensor<65x4096xf32>, %w: tensor<4096x512xf32>, %o: tensor<65x512xf32>) -> tensor<65x512xf32> {
  %r = linalg.matmul ins(%x, %w : tensor<65x4096xf32>, tensor<4096x512xf32>) outs(%o : tensor<65x512xf32>) -> tensor<65x512xf32>
  return %r : tensor<65x512xf32>
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
