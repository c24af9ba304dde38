// RUN: plait-opt %s -train-expand-copies | FileCheck %s

// CHECK-LABEL: func @strided
// CHECK-NOT: memref.copy
// CHECK: linalg.generic
func.func @strided(%a: memref<8x4xf32, strided<[16, 1]>>, %b: memref<8x4xf32>) {
  memref.copy %a, %b
      : memref<8x4xf32, strided<[16, 1]>> to memref<8x4xf32>
  return
}

// A memcpy is better than a loop.
// CHECK-LABEL: func @do_not_expand_contiguous
// CHECK: memref.copy
func.func @do_not_expand_contiguous(%a: memref<8x4xf32>, %b: memref<8x4xf32>) {
  memref.copy %a, %b : memref<8x4xf32> to memref<8x4xf32>
  return
}
