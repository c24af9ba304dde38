// RUN: plait-opt --train-vectorize-copies %s | FileCheck %s

#four = affine_map<(c, i, j, y, x) -> (c, i + y, j + x)>
#columns = affine_map<(c, i, j, y, x) -> (c, i, j, y, x)>

// The columns of a 3x3 convolution: rows of 12 pixels, a vector of 8 and one of 4.

// CHECK-LABEL: func.func @columns
// CHECK-COUNT-4: scf.for
// CHECK-NOT:     scf.for
// CHECK:         vector.load %{{.*}} : memref<2x6x14xf32>, vector<8xf32>
// CHECK:         vector.store %{{.*}} : memref<2x3x3x4x12xf32>, vector<8xf32>
// CHECK:         vector.load %{{.*}} : memref<2x6x14xf32>, vector<4xf32>
// CHECK:         vector.store %{{.*}} : memref<2x3x3x4x12xf32>, vector<4xf32>
// CHECK-NOT:     linalg
func.func @columns(%x: memref<2x6x14xf32>, %y: memref<2x3x3x4x12xf32>) {
  linalg.generic {indexing_maps = [#four, #columns], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]} ins(%x : memref<2x6x14xf32>) outs(%y : memref<2x3x3x4x12xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  }
  return
}

#ijk = affine_map<(i, j, k) -> (i, j, k)>
#jik = affine_map<(i, j, k) -> (j, i, k)>
#kij = affine_map<(i, j, k) -> (k, i, j)>
#twice = affine_map<(i, j, k) -> (i, j, k * 2)>

// Two outer dimensions change places; the rows are vectors of 16 and of 1.

// CHECK-LABEL: func.func @transpose
// CHECK:         vector.load %{{.*}} : memref<4x3x17xi64>, vector<16xi64>
// CHECK:         vector.load %{{.*}} : memref<4x3x17xi64>, vector<1xi64>
func.func @transpose(%x: memref<4x3x17xi64>, %y: memref<3x4x17xi64>) {
  linalg.generic {indexing_maps = [#jik, #ijk], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : memref<4x3x17xi64>) outs(%y : memref<3x4x17xi64>) {
  ^bb0(%in: i64, %o: i64):
    linalg.yield %in : i64
  }
  return
}

// The loop along the rows need not be the last.

// CHECK-LABEL: func.func @inner_loop_first
// CHECK:         vector.load %{{.*}} : memref<8x4x16xf32>, vector<16xf32>
func.func @inner_loop_first(%x: memref<8x4x16xf32>, %y: memref<8x4x16xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (j, k, i)>, affine_map<(i, j, k) -> (j, k, i)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : memref<8x4x16xf32>) outs(%y : memref<8x4x16xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  }
  return
}

// In the other direction: a vector is loaded from its last element on, and turned.

// CHECK-LABEL: func.func @backward
// CHECK:         vector.load %arg0[%{{.*}}, %{{.*}}, %c4{{.*}}] : memref<8x8x12xf32>, vector<8xf32>
// CHECK:         vector.shuffle {{.*}} [7, 6, 5, 4, 3, 2, 1, 0]
// CHECK:         vector.load %arg0[%{{.*}}, %{{.*}}, %c0{{.*}}] : memref<8x8x12xf32>, vector<4xf32>
// CHECK:         vector.shuffle {{.*}} [3, 2, 1, 0]
// CHECK:         vector.store {{.*}} : memref<8x8x12xf32>, vector<4xf32>
func.func @backward(%x: memref<8x8x12xf32>, %y: memref<8x8x12xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, 11 - k)>, #ijk], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : memref<8x8x12xf32>) outs(%y : memref<8x8x12xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  }
  return
}

// No rows in common: another dimension is innermost, elements have gaps between
// them, or the last dimension is strided.

// CHECK-LABEL: func.func @no_rows
// CHECK-COUNT-3: linalg.generic
func.func @no_rows(%x: memref<8x8x8xf32>, %wide: memref<8x8x16xf32>,
                   %strided: memref<8x8x8xf32, strided<[128, 16, 2]>>, %y: memref<8x8x8xf32>) {
  linalg.generic {indexing_maps = [#kij, #ijk], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : memref<8x8x8xf32>) outs(%y : memref<8x8x8xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  }
  linalg.generic {indexing_maps = [#twice, #ijk], iterator_types = ["parallel", "parallel", "parallel"]} ins(%wide : memref<8x8x16xf32>) outs(%y : memref<8x8x8xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  }
  linalg.generic {indexing_maps = [#ijk, #ijk], iterator_types = ["parallel", "parallel", "parallel"]} ins(%strided : memref<8x8x8xf32, strided<[128, 16, 2]>>) outs(%y : memref<8x8x8xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  }
  return
}

// Not vectors of bits: those would be packed. Not what computes, and not what is
// not there.

// CHECK-LABEL: func.func @others
// CHECK-COUNT-3: linalg.generic
func.func @others(%bits: memref<4x4x8xi1>, %bits2: memref<4x4x8xi1>, %x: memref<4x4x8xf32>,
                  %y: memref<4x4x8xf32>, %c: f32) {
  linalg.generic {indexing_maps = [#ijk, #ijk], iterator_types = ["parallel", "parallel", "parallel"]} ins(%bits : memref<4x4x8xi1>) outs(%bits2 : memref<4x4x8xi1>) {
  ^bb0(%in: i1, %o: i1):
    linalg.yield %in : i1
  }
  linalg.generic {indexing_maps = [#ijk, #ijk], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : memref<4x4x8xf32>) outs(%y : memref<4x4x8xf32>) {
  ^bb0(%in: f32, %o: f32):
    %n = arith.negf %in : f32
    linalg.yield %n : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> ()>, #ijk], iterator_types = ["parallel", "parallel", "parallel"]} ins(%c : f32) outs(%y : memref<4x4x8xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  }
  return
}
