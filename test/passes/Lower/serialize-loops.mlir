// RUN: plait-opt %s -train-serialize-loops | FileCheck %s
// RUN: plait-opt %s -train-serialize-loops=min-elements=100 | FileCheck %s --check-prefix=ALL

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
