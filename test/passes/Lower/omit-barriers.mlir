// RUN: plait-opt %s -train-omit-barriers | FileCheck %s
// RUN: plait-opt %s -convert-scf-to-openmp -train-omit-barriers | FileCheck %s --check-prefix=LOOPS

// The region's end is a barrier.

// CHECK-LABEL: func.func @last
// CHECK:         omp.parallel
// CHECK:           omp.wsloop nowait
func.func @last(%x: memref<4xf32>, %c0: index, %c1: index, %c4: index, %f: f32) {
  omp.parallel {
    omp.wsloop {
      omp.loop_nest (%i) : index = (%c0) to (%c4) step (%c1) {
        memref.store %f, %x[%i] : memref<4xf32>
        omp.yield
      }
    }
    omp.terminator
  }
  return
}

// The second loop may read what another thread writes in the first.

// CHECK-LABEL: func.func @do_not_omit_before_another_loop
// CHECK:         omp.wsloop {
// CHECK:         omp.wsloop nowait
func.func @do_not_omit_before_another_loop(%x: memref<4xf32>, %y: memref<4xf32>, %c0: index, %c1: index, %c4: index, %f: f32) {
  omp.parallel {
    omp.wsloop {
      omp.loop_nest (%i) : index = (%c0) to (%c4) step (%c1) {
        memref.store %f, %x[%i] : memref<4xf32>
        omp.yield
      }
    }
    omp.wsloop {
      omp.loop_nest (%i) : index = (%c0) to (%c4) step (%c1) {
        %v = memref.load %x[%c0] : memref<4xf32>
        memref.store %v, %y[%i] : memref<4xf32>
        omp.yield
      }
    }
    omp.terminator
  }
  return
}

// What a conversion of loops makes.

// LOOPS-LABEL: func.func @loop
// LOOPS:         omp.wsloop nowait
func.func @loop(%x: memref<4xf32>, %c0: index, %c1: index, %c4: index, %f: f32) {
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  return
}
