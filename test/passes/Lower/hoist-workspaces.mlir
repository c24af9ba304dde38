// RUN: plait-opt %s -convert-scf-to-openmp -train-hoist-workspaces | FileCheck %s
// RUN: plait-opt %s -convert-scf-to-openmp -train-hoist-workspaces -canonicalize | FileCheck %s --check-prefix=FOLD

// One buffer a thread, not one an iteration. The alloca_scope that OpenMP
// conversion leaves then has nothing in it to free, and folds away.

// FOLD-NOT: memref.alloca_scope
// CHECK-LABEL: func.func @parallel
// CHECK:         omp.parallel {
// CHECK-NEXT:      %[[T:.*]] = memref.alloca() {alignment = 64 : i64} : memref<4xf32>
// CHECK:           omp.loop_nest
// CHECK-NOT:         memref.alloca()
// CHECK:             memref.store %{{.*}}, %[[T]]
func.func @parallel(%x: memref<16xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %t = memref.alloca() {alignment = 64 : i64} : memref<4xf32>
    %v = memref.load %x[%i] : memref<16xf32>
    memref.store %v, %t[%c0] : memref<4xf32>
    %w = memref.load %t[%c1] : memref<4xf32>
    memref.store %w, %x[%i] : memref<16xf32>
  }
  return
}

// CHECK-LABEL: func.func @sequential
// CHECK-NEXT:    %[[T:.*]] = memref.alloca() : memref<8xf32>
// CHECK:         scf.for
// CHECK-NOT:       memref.alloca
func.func @sequential(%x: memref<16xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c1 {
    %t = memref.alloca() : memref<8xf32>
    %v = memref.load %x[%i] : memref<16xf32>
    memref.store %v, %t[%c0] : memref<8xf32>
  }
  return
}

// Its size is known only where it is.

// CHECK-LABEL: func.func @do_not_hoist_dynamic_size
// CHECK:         scf.for
// CHECK:           memref.alloca
func.func @do_not_hoist_dynamic_size() {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c1 {
    %t = memref.alloca(%i) : memref<?xf32>
    memref.dealloc %t : memref<?xf32>
  }
  return
}
