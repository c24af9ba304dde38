// RUN: plait-opt %s -train-serialize-loops | FileCheck %s
// RUN: plait-opt %s -train-serialize-loops=min-elements=100 | FileCheck %s --check-prefix=ALL

#transposed = affine_map<(m, n, k) -> (k, m)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

// 8 iterations of 64 elements are less work than waking a thread.

// CHECK-LABEL: func.func @small
// CHECK-NOT:     scf.forall
// CHECK:         scf.for
// CHECK:           linalg.exp
// ALL-LABEL:   func.func @small
// ALL:           scf.forall
func.func @small(%x: memref<8x64xf32>) {
  scf.forall (%i) in (8) {
    %row = memref.subview %x[%i, 0] [1, 64] [1, 1] : memref<8x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    linalg.exp ins(%row : memref<1x64xf32, strided<[64, 1], offset: ?>>) outs(%row : memref<1x64xf32, strided<[64, 1], offset: ?>>)
  }
  return
}

// 2048 iterations of 64 elements.

// CHECK-LABEL: func.func @do_not_serialize_much_work
// CHECK:         scf.forall
func.func @do_not_serialize_much_work(%x: memref<2048x64xf32>) {
  scf.forall (%i) in (2048) {
    %row = memref.subview %x[%i, 0] [1, 64] [1, 1] : memref<2048x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    linalg.exp ins(%row : memref<1x64xf32, strided<[64, 1], offset: ?>>) outs(%row : memref<1x64xf32, strided<[64, 1], offset: ?>>)
  }
  return
}

// A copy of as many, as of an image into its padded one; and of few.

// CHECK-LABEL: func.func @do_not_serialize_large_copy
// CHECK:         scf.forall
func.func @do_not_serialize_large_copy(%x: memref<2048x64xf32>, %y: memref<2048x64xf32>) {
  scf.forall (%i) in (2048) {
    %from = memref.subview %x[%i, 0] [1, 64] [1, 1] : memref<2048x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    %to = memref.subview %y[%i, 0] [1, 64] [1, 1] : memref<2048x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    memref.copy %from, %to : memref<1x64xf32, strided<[64, 1], offset: ?>> to memref<1x64xf32, strided<[64, 1], offset: ?>>
  }
  return
}

// CHECK-LABEL: func.func @small_copy
// CHECK-NOT:     scf.forall
func.func @small_copy(%x: memref<8x64xf32>, %y: memref<8x64xf32>) {
  scf.forall (%i) in (8) {
    %from = memref.subview %x[%i, 0] [1, 64] [1, 1] : memref<8x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    %to = memref.subview %y[%i, 0] [1, 64] [1, 1] : memref<8x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    memref.copy %from, %to : memref<1x64xf32, strided<[64, 1], offset: ?>> to memref<1x64xf32, strided<[64, 1], offset: ?>>
  }
  return
}

// The update of 128x128 weights: 16 Ki elements, and with 8 samples 128 Ki
// multiply-adds, which are as much again. The weight's products run on one thread,
// and its rows would travel to that one in each step.

// CHECK-LABEL: func.func @update_of_few_samples
// CHECK-NOT:     scf.forall
func.func @update_of_few_samples(%x: memref<8x128xf32>, %g: memref<8x128xf32>, %w: memref<128x128xf32>) {
  %zero = arith.constant 0.0 : f32
  scf.forall (%i) = (0) to (128) step (64) {
    %gi = memref.subview %g[0, %i] [8, 64] [1, 1] : memref<8x128xf32> to memref<8x64xf32, strided<[128, 1], offset: ?>>
    %wi = memref.subview %w[%i, 0] [64, 128] [1, 1] : memref<128x128xf32> to memref<64x128xf32, strided<[128, 1], offset: ?>>
    %dw = memref.alloca() : memref<64x128xf32>
    linalg.fill ins(%zero : f32) outs(%dw : memref<64x128xf32>)
    linalg.matmul indexing_maps = [#transposed, #rhs, #out]
        ins(%gi, %x : memref<8x64xf32, strided<[128, 1], offset: ?>>, memref<8x128xf32>) outs(%dw : memref<64x128xf32>)
    linalg.sub ins(%wi, %dw : memref<64x128xf32, strided<[128, 1], offset: ?>>, memref<64x128xf32>) outs(%wi : memref<64x128xf32, strided<[128, 1], offset: ?>>)
  }
  return
}

// CHECK-LABEL: func.func @do_not_serialize_update_of_many_samples
// CHECK:         scf.forall
func.func @do_not_serialize_update_of_many_samples(%x: memref<64x128xf32>, %g: memref<64x128xf32>, %w: memref<128x128xf32>) {
  %zero = arith.constant 0.0 : f32
  scf.forall (%i) = (0) to (128) step (64) {
    %gi = memref.subview %g[0, %i] [64, 64] [1, 1] : memref<64x128xf32> to memref<64x64xf32, strided<[128, 1], offset: ?>>
    %wi = memref.subview %w[%i, 0] [64, 128] [1, 1] : memref<128x128xf32> to memref<64x128xf32, strided<[128, 1], offset: ?>>
    %dw = memref.alloca() : memref<64x128xf32>
    linalg.fill ins(%zero : f32) outs(%dw : memref<64x128xf32>)
    linalg.matmul indexing_maps = [#transposed, #rhs, #out]
        ins(%gi, %x : memref<64x64xf32, strided<[128, 1], offset: ?>>, memref<64x128xf32>) outs(%dw : memref<64x128xf32>)
    linalg.sub ins(%wi, %dw : memref<64x128xf32, strided<[128, 1], offset: ?>>, memref<64x128xf32>) outs(%wi : memref<64x128xf32, strided<[128, 1], offset: ?>>)
  }
  return
}

// CHECK-LABEL: func.func @do_not_serialize_unknown_count
// CHECK:         scf.forall
func.func @do_not_serialize_unknown_count(%x: memref<8x64xf32>, %n: index) {
  scf.forall (%i) in (%n) {
    %row = memref.subview %x[%i, 0] [1, 64] [1, 1] : memref<8x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
    linalg.exp ins(%row : memref<1x64xf32, strided<[64, 1], offset: ?>>) outs(%row : memref<1x64xf32, strided<[64, 1], offset: ?>>)
  }
  return
}

// CHECK-LABEL: func.func @do_not_serialize_inner_loop
// CHECK:         scf.forall
func.func @do_not_serialize_inner_loop(%x: memref<8x64xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.forall (%i) in (8) {
    scf.for %k = %c0 to %n step %c1 {
      %row = memref.subview %x[%i, 0] [1, 64] [1, 1] : memref<8x64xf32> to memref<1x64xf32, strided<[64, 1], offset: ?>>
      linalg.exp ins(%row : memref<1x64xf32, strided<[64, 1], offset: ?>>) outs(%row : memref<1x64xf32, strided<[64, 1], offset: ?>>)
    }
  }
  return
}
