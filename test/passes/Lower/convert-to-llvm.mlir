// RUN: plait-opt %s -train-convert-to-llvm -reconcile-unrealized-casts | FileCheck %s

// Buffers are pointers, and no cast is left between dialects; divisions that LLVM
// does not have are taken apart.

// CHECK-LABEL: llvm.func @step(
// CHECK-SAME:    %[[X:.*]]: !llvm.ptr, %[[N:.*]]: i64)
// CHECK-NOT:     unrealized_conversion_cast
// CHECK-NOT:     arith.
// CHECK:         llvm.udiv
// CHECK:         omp.parallel
// CHECK:           llvm.store %{{.*}}, %{{.*}} : f32, !llvm.ptr
// CHECK:         llvm.cond_br
// CHECK:         llvm.return
// CHECK-NOT:     unrealized_conversion_cast
func.func @step(%x: memref<16xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c24 = arith.constant 24 : index
  %zero = arith.constant 0.0 : f32
  %tiles = arith.ceildivui %n, %c24 : index
  omp.parallel {
    memref.store %zero, %x[%tiles] : memref<16xf32>
    omp.terminator
  }
  %last = arith.cmpi eq, %tiles, %c0 : index
  cf.cond_br %last, ^end, ^more
^more:
  memref.store %zero, %x[%c0] : memref<16xf32>
  cf.br ^end
^end:
  return
}
