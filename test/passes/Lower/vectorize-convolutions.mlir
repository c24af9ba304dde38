// RUN: plait-opt %s --train-vectorize-convolutions | FileCheck %s
// RUN: plait-opt %s --train-vectorize-convolutions --remarks-filter=train-vectorize.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK --implicit-check-not=remark:
// RUN: not plait-opt %s --train-vectorize-convolutions=register-cols=12 2>&1 | FileCheck %s --check-prefix=OPTIONS

// OPTIONS: error: register sizes must be positive, and register-cols a power of two

#taps = affine_map<(c, y, x, i, j) -> (c, i, j)>
#out = affine_map<(c, y, x, i, j) -> (c, y, x)>
#window = affine_map<(c, y, x, i, j) -> (c, y + i, x + j)>
#two_apart = affine_map<(c, y, x, i, j) -> (c, y * 2 + i, x * 2 + j)>
#image = affine_map<(c, i, j, n, y, x) -> (c, n, y + i, x + j)>
#gradient = affine_map<(c, i, j, n, y, x) -> (c, n, y, x)>
#nine = affine_map<(c, i, j, n, y, x) -> (c, i, j)>
#last = affine_map<(y, x, c, i, j) -> (y + i, x + j, c)>
#taps_last = affine_map<(y, x, c, i, j) -> (i, j, c)>
#out_last = affine_map<(y, x, c, i, j) -> (y, x, c)>
#in_group = affine_map<(g, f, y, x, c, i, j) -> (g, c, y + i, x + j)>
#taps_group = affine_map<(g, f, y, x, c, i, j) -> (g, f, c, i, j)>
#out_group = affine_map<(g, f, y, x, c, i, j) -> (g, f, y, x)>
#columns = affine_map<(c, y, x, i, j) -> (c, j, i)>
#five_apart = affine_map<(c, y, x, i, j) -> (c, y + i, x * 5 + j)>

// Vectors along x, eight rows at a time. The nine taps are loaded once a
// channel; each vector of the input is loaded once for the taps and rows that
// need it: three to each of ten rows. Of 20 pixels, four are left.
// CHECK-LABEL: func @depthwise
// CHECK:           scf.for {{.*}} to %c4
// CHECK-COUNT-9:     vector.broadcast
// CHECK-NOT:         vector.broadcast
// CHECK:             scf.for %{{.*}} to %c16{{.*}} step %c8
// CHECK:               scf.for %{{.*}} to %c16{{.*}} step %c8
// CHECK-COUNT-38:        vector.load
// CHECK-NOT:             vector.load
// CHECK-COUNT-8:         vector.store
// CHECK:               vector.constant_mask [4] : vector<8xi1>
// CHECK-COUNT-38:      vector.maskedload
// CHECK-COUNT-8:       vector.maskedstore
// CHECK-NOT:     linalg
func.func @depthwise(%x: memref<4x18x22xf32>, %w: memref<4x3x3xf32>, %o: memref<4x16x20xf32>) {
  linalg.generic {indexing_maps = [#window, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x18x22xf32>, memref<4x3x3xf32>) outs(%o : memref<4x16x20xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// Thirteen rows: seven, and six.
// CHECK-LABEL: func @rows_left
// CHECK:         scf.for %{{.*}} to %c7{{.*}} step %c7
// CHECK-COUNT-7:   vector.store
// CHECK-COUNT-6: vector.store
// CHECK-NOT:     vector.store
func.func @rows_left(%x: memref<1x15x10xf32>, %w: memref<1x3x3xf32>, %o: memref<1x13x8xf32>) {
  linalg.generic {indexing_maps = [#window, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<1x15x10xf32>, memref<1x3x3xf32>) outs(%o : memref<1x13x8xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// Pixels two apart: twice as many are loaded at once, and the even and the odd
// ones taken from them. None behind the last that is used is read.
// CHECK-LABEL: func @strided
// CHECK:         %[[ROW:.*]] = vector.load %arg0{{.*}} vector<16xf32>
// CHECK-NEXT:    vector.shuffle %[[ROW]], %[[ROW]] [0, 2, 4, 6, 8, 10, 12, 14]
// CHECK-NEXT:    vector.shuffle %[[ROW]], %[[ROW]] [1, 3, 5, 7, 9, 11, 13, 15]
// CHECK:         %[[MASK:.*]] = vector.constant_mask [15] : vector<16xi1>
// CHECK:         %[[LAST:.*]] = vector.maskedload %arg0{{.*}}, %[[MASK]]
// CHECK-NEXT:    vector.shuffle %[[LAST]], %[[LAST]] [0, 2, 4, 6, 8, 10, 12, 14]
func.func @strided(%x: memref<4x9x17xf32>, %w: memref<4x3x3xf32>, %o: memref<4x4x8xf32>) {
  linalg.generic {indexing_maps = [#two_apart, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x9x17xf32>, memref<4x3x3xf32>) outs(%o : memref<4x4x8xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// A weight gradient: the sums are the nine taps, in lanes along the pixels of a
// row, over all images and rows; then the lanes are added.
// CHECK-LABEL: func @weight_gradient
// CHECK:         scf.for {{.*}} to %c4
// CHECK:           %[[SUMS:.*]]:9 = scf.for {{.*}} to %c2{{.*}} iter_args
// CHECK:             scf.for {{.*}} iter_args
// CHECK-COUNT-9:       vector.fma
// CHECK:           vector.shuffle %[[SUMS]]#0, %[[SUMS]]#0 [0, 1, 2, 3]
// CHECK:           arith.addf {{.*}} : vector<4xf32>
// CHECK:           arith.addf {{.*}} : vector<1xf32>
// CHECK:           %[[SUM:.*]] = arith.addf {{.*}} : f32
// CHECK:           memref.store %[[SUM]]
func.func @weight_gradient(%x: memref<4x2x18x18xf32>, %w: memref<4x2x16x16xf32>, %o: memref<4x3x3xf32>) {
  linalg.generic {indexing_maps = [#image, #gradient, #nine],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %w : memref<4x2x18x18xf32>, memref<4x2x16x16xf32>) outs(%o : memref<4x3x3xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// Channels last: they are the lanes, and their taps stay in registers.
// CHECK-LABEL: func @channels_last
// CHECK:         scf.for {{.*}} to %c16{{.*}} step %c8
// CHECK-COUNT-9:   vector.load %arg1{{.*}} vector<8xf32>
// CHECK:           scf.for
// CHECK-NOT:         vector.load %arg1
// CHECK:             vector.fma
// CHECK:             vector.store %{{.*}}, %arg2
func.func @channels_last(%x: memref<10x10x16xf32>, %w: memref<3x3x16xf32>, %o: memref<8x8x16xf32>) {
  linalg.generic {indexing_maps = [#last, #taps_last, #out_last],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<10x10x16xf32>, memref<3x3x16xf32>) outs(%o : memref<8x8x16xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// Groups of two channels and three outputs: the sums stay in registers from one
// channel to the next.
// CHECK-LABEL: func @group
// CHECK:         scf.for
// CHECK:           scf.for {{.*}} to %c2{{.*}} iter_args
// CHECK-NOT:         vector.load %arg2
// CHECK:             vector.fma
// CHECK:           vector.store
func.func @group(%x: memref<4x2x10x10xf32>, %w: memref<4x3x2x3x3xf32>, %o: memref<4x3x8x8xf32>) {
  linalg.generic {indexing_maps = [#in_group, #taps_group, #out_group],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %w : memref<4x2x10x10xf32>, memref<4x3x2x3x3xf32>) outs(%o : memref<4x3x8x8xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// REMARK: remark: {{.*}}convolution not vectorized: the element type is not f32
// CHECK-LABEL: func @do_not_vectorize_f64
// CHECK: linalg.generic
func.func @do_not_vectorize_f64(%x: memref<4x10x10xf64>, %w: memref<4x3x3xf64>, %o: memref<4x8x8xf64>) {
  linalg.generic {indexing_maps = [#window, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x10x10xf64>, memref<4x3x3xf64>) outs(%o : memref<4x8x8xf64>) {
  ^bb0(%in: f64, %tap: f64, %sum: f64):
    %product = arith.mulf %in, %tap : f64
    %next = arith.addf %sum, %product : f64
    linalg.yield %next : f64
  }
  return
}

// REMARK: remark: {{.*}}convolution not vectorized: a shape is dynamic or empty
// CHECK-LABEL: func @do_not_vectorize_dynamic
// CHECK: linalg.generic
func.func @do_not_vectorize_dynamic(%x: memref<?x10x10xf32>, %w: memref<?x3x3xf32>, %o: memref<?x8x8xf32>) {
  linalg.generic {indexing_maps = [#window, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<?x10x10xf32>, memref<?x3x3xf32>) outs(%o : memref<?x8x8xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// REMARK: remark: {{.*}}convolution not vectorized: no loop runs along a row of all operands
// CHECK-LABEL: func @do_not_vectorize_far_apart
// CHECK: linalg.generic
func.func @do_not_vectorize_far_apart(%x: memref<4x10x41xf32>, %w: memref<4x3x3xf32>, %o: memref<4x8x8xf32>) {
  linalg.generic {indexing_maps = [#five_apart, #columns, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x10x41xf32>, memref<4x3x3xf32>) outs(%o : memref<4x8x8xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// REMARK: remark: {{.*}}convolution not vectorized: no loop runs along a row of all operands
// CHECK-LABEL: func @do_not_vectorize_columns
// CHECK: linalg.generic
func.func @do_not_vectorize_columns(%x: memref<4x10x10xf32, strided<[100, 1, 10]>>, %w: memref<4x3x3xf32>, %o: memref<4x8x8xf32>) {
  linalg.generic {indexing_maps = [#window, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x10x10xf32, strided<[100, 1, 10]>>, memref<4x3x3xf32>) outs(%o : memref<4x8x8xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// REMARK: remark: {{.*}}convolution not vectorized: an index is not a sum of loops
// CHECK-LABEL: func @do_not_vectorize_backward
// CHECK: linalg.generic
func.func @do_not_vectorize_backward(%x: memref<4x10x10xf32>, %w: memref<4x3x3xf32>, %o: memref<4x8x8xf32>) {
  linalg.generic {indexing_maps = [affine_map<(c, y, x, i, j) -> (c, y + i, x - j + 2)>, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x10x10xf32>, memref<4x3x3xf32>) outs(%o : memref<4x8x8xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// REMARK: remark: {{.*}}convolution not vectorized: the output is also an input
// CHECK-LABEL: func @do_not_vectorize_in_place
// CHECK: linalg.generic
func.func @do_not_vectorize_in_place(%x: memref<4x8x8xf32>, %w: memref<4x1x1xf32>) {
  linalg.generic {indexing_maps = [#window, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x8x8xf32>, memref<4x1x1xf32>) outs(%x : memref<4x8x8xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}

// REMARK: remark: {{.*}}convolution not vectorized: it does not multiply two operands and add
// CHECK-LABEL: func @do_not_vectorize_pooling
// CHECK: linalg.pooling_nchw_max
func.func @do_not_vectorize_pooling(%x: memref<1x2x4x4xf32>, %w: memref<2x2xf32>,
                                    %o: memref<1x2x3x3xf32>) {
  linalg.pooling_nchw_max ins(%x, %w : memref<1x2x4x4xf32>, memref<2x2xf32>)
      outs(%o : memref<1x2x3x3xf32>)
  return
}

// The bias of a channel is a vector of equal elements, and no sum is loaded: 38
// vectors are of the input. What is stored has gone through ReLU.
// CHECK-LABEL: func @bias_and_relu
// CHECK-NOT:     linalg
// CHECK:               memref.load %arg2
// CHECK-COUNT-30:        vector.load %arg0
// CHECK-NOT:             vector.load
// CHECK:                 arith.maximumf {{.*}} : vector<8xf32>
// CHECK-NEXT:            vector.store
// CHECK:                 vector.maskedload %arg0
// CHECK-NOT:             vector.maskedload %arg3
// CHECK:                 arith.maximumf {{.*}} : vector<8xf32>
// CHECK-NEXT:            vector.maskedstore %arg3
// CHECK-NOT:     linalg
// CHECK:         return
func.func @bias_and_relu(%x: memref<4x18x22xf32>, %w: memref<4x3x3xf32>, %b: memref<4xf32>, %o: memref<4x16x20xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.broadcast ins(%b : memref<4xf32>) outs(%o : memref<4x16x20xf32>) dimensions = [1, 2]
  linalg.generic {indexing_maps = [#window, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x18x22xf32>, memref<4x3x3xf32>) outs(%o : memref<4x16x20xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  linalg.generic {indexing_maps = [affine_map<(c, y, x) -> (c, y, x)>], iterator_types = ["parallel", "parallel", "parallel"]} outs(%o : memref<4x16x20xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32):
    %m = arith.maximumf %in, %zero : f32
    linalg.yield %m : f32
  }
  return
}

// Something else reads the bias where it was written: sums are loaded.
// CHECK-LABEL: func @do_not_drop_first_values
// CHECK:         linalg.broadcast
// CHECK:         memref.load
// CHECK:         vector.load %arg3
func.func @do_not_drop_first_values(%x: memref<4x18x22xf32>, %w: memref<4x3x3xf32>, %b: memref<4xf32>, %o: memref<4x16x20xf32>) -> f32 {
  %c0 = arith.constant 0 : index
  linalg.broadcast ins(%b : memref<4xf32>) outs(%o : memref<4x16x20xf32>) dimensions = [1, 2]
  %v = memref.load %o[%c0, %c0, %c0] : memref<4x16x20xf32>
  linalg.generic {indexing_maps = [#window, #taps, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<4x18x22xf32>, memref<4x3x3xf32>) outs(%o : memref<4x16x20xf32>) {
  ^bb0(%in: f32, %tap: f32, %sum: f32):
    %product = arith.mulf %in, %tap : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return %v : f32
}
