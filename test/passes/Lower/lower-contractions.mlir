// RUN: plait-opt %s -split-input-file -train-lower-contractions -canonicalize -cse \
// RUN:   | FileCheck %s
// RUN: plait-opt %s -split-input-file -train-lower-contractions=parallel=false -canonicalize \
// RUN:   | FileCheck %s --check-prefix=SEQ
// RUN: plait-opt %s -split-input-file -train-lower-contractions \
// RUN:   --remarks-filter="train-lower-contractions" --remark-format=emitRemark 2>&1 >/dev/null \
// RUN:   | FileCheck %s --check-prefix=REMARK

// A tiny product is not worth starting threads. One block: lanes (B) and rows
// (A) are packed, then full 4x16 register tiles run over k. The chain starts at
// the value in memory.

// CHECK-LABEL: func @tiny
// CHECK-NOT:     scf.parallel
// CHECK-DAG:     %[[LANES:.*]] = memref.alloca() {alignment = 64 : i64, plait.workspace = "lanes"}
// CHECK-DAG:     %[[ROWS:.*]] = memref.alloca() {alignment = 64 : i64, plait.workspace = "rows"}
// CHECK:         vector.load %arg1[{{.*}}] : memref<32x32xf32>, vector<16xf32>
// CHECK:         vector.load %arg0[{{.*}}] : memref<32x32xf32>, vector<8xf32>
// CHECK:         %[[START:.*]] = vector.load %arg2[{{.*}}] : memref<32x32xf32>, vector<16xf32>
// CHECK:         scf.for {{.*}} iter_args(%{{.*}} = %[[START]],
// CHECK:           %[[B:.*]] = vector.load %[[LANES]]
// CHECK:           %[[A:.*]] = memref.load %[[ROWS]]
// CHECK:           %[[X:.*]] = vector.broadcast %[[A]] : f32 to vector<16xf32>
// CHECK:           vector.fma %[[X]], %[[B]], %{{.*}} : vector<16xf32>
// CHECK-NOT:     linalg
// SEQ-LABEL: func @tiny
func.func @tiny(%a: memref<32x32xf32>, %b: memref<32x32xf32>,
                %c: memref<32x32xf32>) {
  linalg.matmul ins(%a, %b : memref<32x32xf32>, memref<32x32xf32>)
                outs(%c : memref<32x32xf32>)
  return
}

// -----

// A large product: a grid of panels, whose size has nothing to do with the
// number of threads, each with its own workspaces.

// CHECK-LABEL: func @large
// CHECK:         scf.parallel (%{{.*}}, %{{.*}}) = (%c0, %c0) to (%c512, %c512) step (%c{{[0-9]+}}, %c256)
// CHECK:           memref.alloca
// CHECK:           vector.fma
// SEQ-LABEL: func @large
// SEQ-NOT:     scf.parallel
// SEQ:         memref.alloca
// SEQ-NOT:     scf.parallel
// SEQ:         vector.fma
func.func @large(%a: memref<512x512xf32>, %b: memref<512x512xf32>,
                 %c: memref<512x512xf32>) {
  linalg.matmul ins(%a, %b : memref<512x512xf32>, memref<512x512xf32>)
                outs(%c : memref<512x512xf32>)
  return
}

// -----

// Inside of a parallel loop there is no second one, and the workspaces are
// outside of the sequential loop so that the stack does not grow.

// CHECK-LABEL: func @nested
// CHECK:         scf.parallel
// CHECK:           memref.alloca
// CHECK:           scf.for
// CHECK-NOT:       scf.parallel
// CHECK-NOT:       memref.alloca
// CHECK:           vector.fma
func.func @nested(%a: memref<4x8x512x512xf32>, %b: memref<512x512xf32>,
                  %c: memref<4x8x512x512xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    scf.for %j = %c0 to %c8 step %c1 {
      %x = memref.subview %a[%i, %j, 0, 0] [1, 1, 512, 512] [1, 1, 1, 1]
          : memref<4x8x512x512xf32> to memref<512x512xf32, strided<[512, 1], offset: ?>>
      %y = memref.subview %c[%i, %j, 0, 0] [1, 1, 512, 512] [1, 1, 1, 1]
          : memref<4x8x512x512xf32> to memref<512x512xf32, strided<[512, 1], offset: ?>>
      linalg.matmul ins(%x, %b : memref<512x512xf32, strided<[512, 1], offset: ?>>, memref<512x512xf32>)
                    outs(%y : memref<512x512xf32, strided<[512, 1], offset: ?>>)
    }
  }
  return
}

// -----

// Input gradient at a small batch: the weight (B) is contiguous along the
// lanes and read in place, once.

// CHECK-LABEL: func @few_rows_read_lanes_in_place
// CHECK-NOT:     memref.alloca
// CHECK:         scf.parallel
// CHECK:           scf.for {{.*}} iter_args
// CHECK:             vector.load %arg1[{{.*}}] : memref<1024x1024xf32>, vector<16xf32>
// CHECK:             memref.load %arg0
func.func @few_rows_read_lanes_in_place(%a: memref<8x1024xf32>, %b: memref<1024x1024xf32>,
                                        %c: memref<8x1024xf32>) {
  linalg.matmul ins(%a, %b : memref<8x1024xf32>, memref<1024x1024xf32>)
                outs(%c : memref<8x1024xf32>)
  return
}

// -----

// Forward at a small batch, weight [N, K]: roles are exchanged, so that the
// weight (B) gives the broadcast rows and only the small A is transposed.

// CHECK-LABEL: func @few_rows_swap_roles
// CHECK:         vector.load %arg0[{{.*}}] : memref<8x1024xf32>, vector<8xf32>
// CHECK:         vector.shuffle
// CHECK:         vector.load %arg1[{{.*}}] : memref<1024x1024xf32>, vector<8xf32>
// CHECK-NOT:     vector.shuffle
// CHECK:         vector.fma {{.*}} : vector<8xf32>
#a = affine_map<(m, n, k) -> (m, k)>
#bt = affine_map<(m, n, k) -> (n, k)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @few_rows_swap_roles(%a: memref<8x1024xf32>, %b: memref<1024x1024xf32>,
                               %c: memref<8x1024xf32>) {
  linalg.matmul indexing_maps = [#a, #bt, #c]
      ins(%a, %b : memref<8x1024xf32>, memref<1024x1024xf32>)
      outs(%c : memref<8x1024xf32>)
  return
}

// -----

// Weight gradient: the fill directly before is where the chains start, and
// nothing reads the accumulator.

// CHECK-LABEL: func @fold_fill
// CHECK-NOT:     linalg.fill
// CHECK-NOT:     vector.load %arg2
// CHECK:         vector.store %{{.*}}, %arg2
#at = affine_map<(m, n, k) -> (k, m)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @fold_fill(%a: memref<8x96xf32>, %b: memref<8x64xf32>, %c: memref<96x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<96x64xf32>)
  linalg.matmul indexing_maps = [#at, #b, #c]
      ins(%a, %b : memref<8x96xf32>, memref<8x64xf32>)
      outs(%c : memref<96x64xf32>)
  return
}

// -----

// CHECK-LABEL: func @do_not_fold_fill_read_between
// CHECK:         linalg.fill
// CHECK:         vector.load %arg2
func.func @do_not_fold_fill_read_between(%a: memref<96x8xf32>, %b: memref<8x64xf32>,
                                         %c: memref<96x64xf32>, %d: memref<96x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<96x64xf32>)
  memref.copy %c, %d : memref<96x64xf32> to memref<96x64xf32>
  linalg.matmul ins(%a, %b : memref<96x8xf32>, memref<8x64xf32>)
                outs(%c : memref<96x64xf32>)
  return
}

// -----

// Edges go through a small tile on the stack; no vector access leaves the
// operands.

// CHECK-LABEL: func @ragged
// CHECK:         %[[EDGE:.*]] = memref.alloca() {alignment = 64 : i64, plait.workspace = "edge"}
// CHECK:         vector.maskedload %arg1
// CHECK:         scf.if
// CHECK:           vector.load %arg2
// CHECK:         else
// CHECK:           memref.load %arg2
func.func @ragged(%a: memref<37x29xf32>, %b: memref<29x35xf32>, %c: memref<37x35xf32>) {
  linalg.matmul ins(%a, %b : memref<37x29xf32>, memref<29x35xf32>)
                outs(%c : memref<37x35xf32>)
  return
}

// -----

// Batch loops are part of the grid.

// CHECK-LABEL: func @batch
// CHECK:         scf.parallel (%{{.*}}) = (%c0) to (%c16)
// CHECK-NOT:     linalg
func.func @batch(%a: memref<16x64x64xf32>, %b: memref<16x64x64xf32>,
                 %c: memref<16x64x64xf32>) {
  linalg.batch_matmul ins(%a, %b : memref<16x64x64xf32>, memref<16x64x64xf32>)
                      outs(%c : memref<16x64x64xf32>)
  return
}

// -----

// CHECK-LABEL: func @matvec
// CHECK-NOT:     linalg
// CHECK:         vector.fma
func.func @matvec(%a: memref<64x64xf32>, %x: memref<64xf32>, %y: memref<64xf32>) {
  linalg.matvec ins(%a, %x : memref<64x64xf32>, memref<64xf32>)
                outs(%y : memref<64xf32>)
  return
}

// -----

// CHECK-LABEL: func @do_not_lower_element_type
// CHECK:         linalg.matmul
// REMARK: contraction not lowered: the element type is not f32
func.func @do_not_lower_element_type(%a: memref<8x8xf64>, %b: memref<8x8xf64>,
                                     %c: memref<8x8xf64>) {
  linalg.matmul ins(%a, %b : memref<8x8xf64>, memref<8x8xf64>)
                outs(%c : memref<8x8xf64>)
  return
}

// -----

// CHECK-LABEL: func @do_not_lower_dynamic_shape
// CHECK:         linalg.matmul
// REMARK: contraction not lowered: a shape is dynamic
func.func @do_not_lower_dynamic_shape(%a: memref<?x8xf32>, %b: memref<8x8xf32>,
                                      %c: memref<?x8xf32>) {
  linalg.matmul ins(%a, %b : memref<?x8xf32>, memref<8x8xf32>)
                outs(%c : memref<?x8xf32>)
  return
}

// -----

// The canonicalizer then removes the product itself.

// CHECK-LABEL: func @do_not_lower_empty
// REMARK: contraction not lowered: a dimension is empty
func.func @do_not_lower_empty(%a: memref<8x0xf32>, %b: memref<0x8xf32>,
                              %c: memref<8x8xf32>) {
  linalg.matmul ins(%a, %b : memref<8x0xf32>, memref<0x8xf32>)
                outs(%c : memref<8x8xf32>)
  return
}

// -----

// CHECK-LABEL: func @do_not_lower_tensors
// CHECK:         linalg.matmul
// REMARK: contraction not lowered: it is not bufferized
func.func @do_not_lower_tensors(%a: tensor<8x8xf32>, %c: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %r = linalg.matmul ins(%a, %a : tensor<8x8xf32>, tensor<8x8xf32>)
                     outs(%c : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----

// CHECK-LABEL: func @do_not_lower_accumulator_is_input
// CHECK:         linalg.matmul
// REMARK: contraction not lowered: the accumulator is also an input
func.func @do_not_lower_accumulator_is_input(%a: memref<8x8xf32>, %c: memref<8x8xf32>) {
  linalg.matmul ins(%a, %c : memref<8x8xf32>, memref<8x8xf32>)
                outs(%c : memref<8x8xf32>)
  return
}

// -----

// Two loops that count blocks and their elements are one, wherever the blocks of
// an operand lie; in another order in one operand they are not.

// CHECK-LABEL: func @lower_blocks_of_k
// CHECK-NOT:     linalg.generic
#a = affine_map<(m, n, k, l) -> (m, k, l)>
#b = affine_map<(m, n, k, l) -> (k, n, l)>
#c = affine_map<(m, n, k, l) -> (m, n)>
func.func @lower_blocks_of_k(%a: memref<8x4x4xf32>, %b: memref<4x8x4xf32>,
                             %c: memref<8x8xf32>) {
  linalg.generic {indexing_maps = [#a, #b, #c],
                  iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
      ins(%a, %b : memref<8x4x4xf32>, memref<4x8x4xf32>) outs(%c : memref<8x8xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %z, %p : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// CHECK-LABEL: func @do_not_lower_two_reductions
// CHECK:         linalg.generic
// REMARK: contraction not lowered: it has more than one m, n or k loop
#a = affine_map<(m, n, k, l) -> (m, k, l)>
#b = affine_map<(m, n, k, l) -> (l, k, n)>
#c = affine_map<(m, n, k, l) -> (m, n)>
func.func @do_not_lower_two_reductions(%a: memref<8x4x4xf32>, %b: memref<4x4x8xf32>,
                                       %c: memref<8x8xf32>) {
  linalg.generic {indexing_maps = [#a, #b, #c],
                  iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
      ins(%a, %b : memref<8x4x4xf32>, memref<4x4x8xf32>) outs(%c : memref<8x8xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %z, %p : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// CHECK-LABEL: func @do_not_lower_one_sided_loop
// CHECK:         linalg.generic
// REMARK: contraction not lowered: a loop indexes only one operand
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @do_not_lower_one_sided_loop(%a: memref<8x4xf32>, %b: memref<8xf32>,
                                       %c: memref<8x8xf32>) {
  linalg.generic {indexing_maps = [#a, #b, #c],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<8x4xf32>, memref<8xf32>) outs(%c : memref<8x8xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %z, %p : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// CHECK-LABEL: func @do_not_lower_convolution
// CHECK:         linalg.conv_1d
// REMARK: contraction not lowered: an operand access is not a permutation of loops
func.func @do_not_lower_convolution(%a: memref<10xf32>, %b: memref<3xf32>, %c: memref<8xf32>) {
  linalg.conv_1d ins(%a, %b : memref<10xf32>, memref<3xf32>) outs(%c : memref<8xf32>)
  return
}

// -----

// Not a contraction at all: neither lowered nor reported.

// CHECK-LABEL: func @do_not_lower_maximum
// CHECK:         linalg.generic
// REMARK-NOT: contraction not lowered
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @do_not_lower_maximum(%a: memref<8x4xf32>, %b: memref<4x8xf32>, %c: memref<8x8xf32>) {
  linalg.generic {indexing_maps = [#a, #b, #c],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<8x4xf32>, memref<4x8xf32>) outs(%c : memref<8x8xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.maximumf %z, %p : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// A marked product: dot products along k, eight rows at a time, what is left
// of k under a mask, and what is left of the rows one by one. The vectors'
// halves are added last, those of two vectors at once, to what is in memory.

// CHECK-LABEL: func @dots
// CHECK-NOT:     memref.alloca
// CHECK:         scf.parallel
// CHECK:           scf.for {{.*}} step %c8
// CHECK:             scf.for {{.*}} to %c4096 step %c8 iter_args
// CHECK-COUNT-8:       vector.fma {{.*}} : vector<8xf32>
// CHECK:             vector.maskedload
// CHECK:             vector.shuffle {{.*}} [0, 1, 2, 3, 8, 9, 10, 11]
// CHECK:             vector.shuffle {{.*}} [4, 5, 6, 7, 12, 13, 14, 15]
// CHECK:             vector.load
// CHECK:             vector.store {{.*}} : memref<1001xf32>, vector<8xf32>
// CHECK:           scf.for {{.*}} step %c1
// CHECK-NOT:     linalg
func.func @dots(%w: memref<1001x4099xf32>, %x: memref<4099xf32>, %o: memref<1001xf32>) {
  linalg.matvec {plait.dot = 4099 : i64} ins(%w, %x : memref<1001x4099xf32>, memref<4099xf32>) outs(%o : memref<1001xf32>)
  return
}

// -----

// More rows than a tile's: blocks of k, in each of which all tiles of x meet the
// same rows of the weight. The last block is shorter.

// CHECK-LABEL: func @dots_in_blocks
// CHECK:         scf.parallel
// CHECK:           scf.for {{.*}} step %c3
// CHECK:             scf.for {{.*}} = %c0{{.*}} to %c20{{.*}} step %c4
// CHECK:               scf.for {{.*}} step %c8 iter_args
// CHECK-COUNT-12:        vector.fma {{.*}} : vector<8xf32>
// CHECK-NOT:             vector.fma
// CHECK:             scf.for {{.*}} to %c4096{{.*}} step %c1024
// CHECK:               scf.for {{.*}} = %c0{{.*}} to %c20{{.*}} step %c4
// CHECK:             scf.for {{.*}} = %c0{{.*}} to %c20{{.*}} step %c4
// CHECK:               vector.maskedload
// CHECK-NOT:     linalg
func.func @dots_in_blocks(%w: memref<999x4099xf32>, %x: memref<20x4099xf32>, %o: memref<20x999xf32>) {
  linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      {plait.dot = 1024 : i64} ins(%x, %w : memref<20x4099xf32>, memref<999x4099xf32>) outs(%o : memref<20x999xf32>)
  return
}

// -----

// A product in parts of k, of one row: threads take parts, eight rows of the
// weight at a time, and the sums are added in order, to what is in memory.

// CHECK-LABEL: func @split_one_row
// CHECK:         %[[SUMS:.*]] = memref.alloca() {{.*}}memref<2048xf32>
// CHECK:         scf.parallel (%{{.*}}) = (%c0) to (%c4) step (%c1)
// CHECK:           scf.for {{.*}} to %c256{{.*}} step %c8
// CHECK-COUNT-8:       vector.fma {{.*}} : vector<8xf32>
// CHECK-NOT:           vector.fma
// CHECK:         scf.for
// CHECK-COUNT-4:   arith.addf {{.*}} : vector<8xf32>
// CHECK-NOT:       arith.addf
// CHECK:           vector.store
// CHECK-NOT:     linalg
func.func @split_one_row(%x: memref<1x1024xf32>, %w: memref<1024x512xf32>, %o: memref<1x512xf32>) {
  linalg.matmul {plait.split_k = 4} ins(%x, %w : memref<1x1024xf32>, memref<1024x512xf32>) outs(%o : memref<1x512xf32>)
  return
}

// -----

// Of many rows: register tiles in each part.

// CHECK-LABEL: func @split_many_rows
// CHECK:         scf.parallel (%{{.*}}) = (%c0) to (%c2) step (%c1)
// CHECK:           vector.fma
// Sums are added by whole rows.
// CHECK:         scf.parallel {{.*}} to (%c64
// CHECK-COUNT-2:   arith.addf {{.*}} : vector<8xf32>
// CHECK-NOT:     linalg
func.func @split_many_rows(%x: memref<64x1024xf32>, %w: memref<1024x512xf32>, %o: memref<64x512xf32>) {
  linalg.matmul {plait.split_k = 2} ins(%x, %w : memref<64x1024xf32>, memref<1024x512xf32>) outs(%o : memref<64x512xf32>)
  return
}

// -----

// In a panel: the same parts, one after the other, in a buffer of one. The
// panel has fewer lanes than rows.

// CHECK-LABEL: func @split_panel
// CHECK:         scf.forall
// CHECK:           memref.alloca() {{.*}}memref<32xf32>
// CHECK-NOT:       scf.parallel
// CHECK:           scf.for {{.*}} = %c1{{.*}} to %c4{{.*}} step %c1
// CHECK-NOT:     linalg
func.func @split_panel(%x: memref<8x1024xf32>, %w: memref<1024x512xf32>, %o: memref<8x512xf32>) {
  scf.forall (%j) = (0) to (512) step (4) {
    %wj = memref.subview %w[0, %j] [1024, 4] [1, 1] : memref<1024x512xf32> to memref<1024x4xf32, strided<[512, 1], offset: ?>>
    %oj = memref.subview %o[0, %j] [8, 4] [1, 1] : memref<8x512xf32> to memref<8x4xf32, strided<[512, 1], offset: ?>>
    linalg.matmul {plait.split_k = 4} ins(%x, %wj : memref<8x1024xf32>, memref<1024x4xf32, strided<[512, 1], offset: ?>>) outs(%oj : memref<8x4xf32, strided<[512, 1], offset: ?>>)
  }
  return
}
