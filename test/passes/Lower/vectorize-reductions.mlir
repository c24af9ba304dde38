// RUN: plait-opt %s --train-vectorize-reductions | FileCheck %s

#rows = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#lane = affine_map<(i, j) -> (j)>

// Two vectors and 6 elements, of which the other lanes count as zero.
// CHECK-LABEL: @sum_of_squares
//       CHECK: scf.for
//       CHECK:   scf.for {{.*}} -> (vector<32xf32>)
//       CHECK:     %[[X:.*]] = vector.load
//       CHECK:     arith.mulf %[[X]], %[[X]] : vector<32xf32>
//       CHECK:     arith.addf {{.*}} : vector<32xf32>
//       CHECK:     scf.yield
//       CHECK:   %[[MASK:.*]] = vector.constant_mask [6]
//       CHECK:   vector.maskedload
//       CHECK:   arith.select %[[MASK]]
//       CHECK:   arith.addf {{.*}} : vector<16xf32>
//       CHECK:   arith.addf {{.*}} : vector<1xf32>
//       CHECK:   %[[SUM:.*]] = arith.addf {{.*}} : f32
//       CHECK:   memref.store %[[SUM]]
//   CHECK-NOT: linalg.generic
func.func @sum_of_squares(%x: memref<4x70xf32>, %y: memref<4xf32>) {
  linalg.generic {indexing_maps = [#rows, #row], iterator_types = ["parallel", "reduction"]}
    ins(%x : memref<4x70xf32>) outs(%y : memref<4xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %square = arith.mulf %in, %in : f32
    %sum = arith.addf %acc, %square : f32
    linalg.yield %sum : f32
  }
  return
}

// A value that all elements of a row share is read once a vector.
// CHECK-LABEL: @centered_and_largest
//       CHECK: %[[MEAN:.*]] = memref.load
//       CHECK: vector.broadcast %[[MEAN]]
//       CHECK: arith.maximumf {{.*}} : vector<32xf32>
func.func @centered_and_largest(%x: memref<4x64xf32>, %mean: memref<4xf32>, %y: memref<4xf32>) {
  linalg.generic {indexing_maps = [#rows, #row, #row], iterator_types = ["parallel", "reduction"]}
    ins(%x, %mean : memref<4x64xf32>, memref<4xf32>) outs(%y : memref<4xf32>) {
  ^bb0(%in: f32, %center: f32, %acc: f32):
    %d = arith.subf %in, %center : f32
    %max = arith.maximumf %d, %acc : f32
    linalg.yield %max : f32
  }
  return
}

// CHECK-LABEL: @do_not_vectorize_short
//       CHECK: linalg.generic
func.func @do_not_vectorize_short(%x: memref<4x31xf32>, %y: memref<4xf32>) {
  linalg.generic {indexing_maps = [#rows, #row], iterator_types = ["parallel", "reduction"]}
    ins(%x : memref<4x31xf32>) outs(%y : memref<4xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %sum = arith.addf %acc, %in : f32
    linalg.yield %sum : f32
  }
  return
}

// CHECK-LABEL: @do_not_vectorize_strided
//       CHECK: linalg.generic
func.func @do_not_vectorize_strided(%x: memref<4x64xf32, strided<[128, 2]>>, %y: memref<4xf32>) {
  linalg.generic {indexing_maps = [#rows, #row], iterator_types = ["parallel", "reduction"]}
    ins(%x : memref<4x64xf32, strided<[128, 2]>>) outs(%y : memref<4xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %sum = arith.addf %acc, %in : f32
    linalg.yield %sum : f32
  }
  return
}

// The lanes lie in the output: nothing is reduced along the innermost loop.
// CHECK-LABEL: @do_not_vectorize_outer_reduction
//       CHECK: linalg.generic
func.func @do_not_vectorize_outer_reduction(%x: memref<4x64xf32>, %y: memref<64xf32>) {
  linalg.generic {indexing_maps = [#rows, #lane], iterator_types = ["reduction", "parallel"]}
    ins(%x : memref<4x64xf32>) outs(%y : memref<64xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %sum = arith.addf %acc, %in : f32
    linalg.yield %sum : f32
  }
  return
}

// 2 acc + x depends on the order of the elements.
// CHECK-LABEL: @do_not_vectorize_recurrence
//       CHECK: linalg.generic
func.func @do_not_vectorize_recurrence(%x: memref<4x64xf32>, %y: memref<4xf32>) {
  linalg.generic {indexing_maps = [#rows, #row], iterator_types = ["parallel", "reduction"]}
    ins(%x : memref<4x64xf32>) outs(%y : memref<4xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %double = arith.addf %acc, %acc : f32
    %sum = arith.addf %double, %in : f32
    linalg.yield %sum : f32
  }
  return
}

// LLVM's powi has one exponent for all lanes.
// CHECK-LABEL: @do_not_vectorize_integer_powers
//       CHECK: linalg.generic
func.func @do_not_vectorize_integer_powers(%x: memref<4x64xf32>, %n: i32, %y: memref<4xf32>) {
  linalg.generic {indexing_maps = [#rows, #row], iterator_types = ["parallel", "reduction"]}
    ins(%x : memref<4x64xf32>) outs(%y : memref<4xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %power = math.fpowi %in, %n : f32, i32
    %sum = arith.addf %acc, %power : f32
    linalg.yield %sum : f32
  }
  return
}

// The bounds of loops of one iteration, which a constant subscript keeps. They were
// read from memory that was given back.
// CHECK-LABEL: @sum_with_unit_loops
// CHECK-COUNT-3: arith.constant 1 : index
//   CHECK-NOT: arith.constant {{[^017].*}} : index
//       CHECK: scf.for
func.func @sum_with_unit_loops(%x: memref<1x1x1x7x64xf32>, %f: memref<1x1x1x7x1xf32>, %y: memref<1x1x1x7xf32>) {
  linalg.generic {
    indexing_maps = [affine_map<(a, b, c, i, j) -> (a, b, c, i, j)>, affine_map<(a, b, c, i, j) -> (a, b, c, i, 0)>,
                     affine_map<(a, b, c, i, j) -> (a, b, c, i)>],
    iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
    ins(%x, %f : memref<1x1x1x7x64xf32>, memref<1x1x1x7x1xf32>) outs(%y : memref<1x1x1x7xf32>) {
  ^bb0(%in: f32, %factor: f32, %acc: f32):
    %product = arith.mulf %in, %factor : f32
    %sum = arith.addf %acc, %product : f32
    linalg.yield %sum : f32
  }
  return
}

// The maximum of a row, and whether all of it is masked.
// CHECK-LABEL: @maximum_and_bit
//       CHECK:   scf.for {{.*}} -> (vector<32xf32>, vector<32xi1>)
//       CHECK:     arith.maximumf {{.*}} : vector<32xf32>
//       CHECK:     arith.andi {{.*}} : vector<32xi1>
//       CHECK:   memref.store {{.*}} : memref<4xf32>
//       CHECK:   memref.store {{.*}} : memref<4xi1>
func.func @maximum_and_bit(%x: memref<4x64xf32>, %y: memref<4xf32>, %b: memref<4xi1>) {
  %least = arith.constant 0xFF800000 : f32
  linalg.generic {indexing_maps = [#rows, #row, #row], iterator_types = ["parallel", "reduction"]}
    ins(%x : memref<4x64xf32>) outs(%y, %b : memref<4xf32>, memref<4xi1>) {
  ^bb0(%in: f32, %max: f32, %all: i1):
    %larger = arith.maximumf %in, %max : f32
    %masked = arith.cmpf oeq, %in, %least : f32
    %and = arith.andi %masked, %all : i1
    linalg.yield %larger, %and : f32, i1
  }
  return
}
