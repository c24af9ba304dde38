// RUN: plait-opt %s --train-collapse-loops | FileCheck %s

#four = affine_map<(a, b, c, d) -> (a, b, c, d)>
#channel = affine_map<(a, b, c, d) -> (0, b, 0, 0)>
#two = affine_map<(a, b) -> (a, b)>
#swapped = affine_map<(a, b) -> (b, a)>

// CHECK-LABEL: @filter
//       CHECK: memref.collapse_shape %{{.*}} {{\[}}[0, 1, 2, 3]]
//  CHECK-SAME:   into memref<18432xf32
//       CHECK: linalg.generic
//  CHECK-SAME:   iterator_types = ["parallel"]
func.func @filter(%x: memref<8x512x3x3xf32>, %y: memref<8x512x3x3xf32>) {
  %panel = memref.subview %x[4, 0, 0, 0] [4, 512, 3, 3] [1, 1, 1, 1]
    : memref<8x512x3x3xf32> to memref<4x512x3x3xf32, strided<[4608, 9, 3, 1], offset: 18432>>
  %out = memref.subview %y[4, 0, 0, 0] [4, 512, 3, 3] [1, 1, 1, 1]
    : memref<8x512x3x3xf32> to memref<4x512x3x3xf32, strided<[4608, 9, 3, 1], offset: 18432>>
  linalg.generic {indexing_maps = [#four, #four],
                  iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%panel : memref<4x512x3x3xf32, strided<[4608, 9, 3, 1], offset: 18432>>)
    outs(%out : memref<4x512x3x3xf32, strided<[4608, 9, 3, 1], offset: 18432>>) {
  ^bb0(%in: f32, %old: f32):
    %sqrt = math.sqrt %in : f32
    linalg.yield %sqrt : f32
  }
  return
}

// The sum over the images stays a loop of its own: channels lie between.
// CHECK-LABEL: @statistics
//       CHECK: linalg.generic
//  CHECK-SAME:   iterator_types = ["reduction", "parallel", "reduction"]
func.func @statistics(%x: memref<4x8x5x7xf32>, %sum: memref<1x8x1x1xf32>) {
  linalg.generic {indexing_maps = [#four, #channel],
                  iterator_types = ["reduction", "parallel", "reduction", "reduction"]}
    ins(%x : memref<4x8x5x7xf32>) outs(%sum : memref<1x8x1x1xf32>) {
  ^bb0(%in: f32, %old: f32):
    %add = arith.addf %in, %old : f32
    linalg.yield %add : f32
  }
  return
}

// CHECK-LABEL: @named
//       CHECK: linalg.generic
//  CHECK-SAME:   iterator_types = ["parallel"]
func.func @named(%x: memref<64x3x3xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%x : memref<64x3x3xf32>)
  return
}

// CHECK-LABEL: @do_not_collapse_gaps
//   CHECK-NOT: collapse_shape
//       CHECK: iterator_types = ["parallel", "parallel"]
func.func @do_not_collapse_gaps(%x: memref<8x8xf32, strided<[16, 1]>>, %y: memref<8x8xf32>) {
  linalg.generic {indexing_maps = [#two, #two], iterator_types = ["parallel", "parallel"]}
    ins(%x : memref<8x8xf32, strided<[16, 1]>>) outs(%y : memref<8x8xf32>) {
  ^bb0(%in: f32, %old: f32):
    linalg.yield %in : f32
  }
  return
}

// CHECK-LABEL: @do_not_collapse_transposed
//   CHECK-NOT: collapse_shape
//       CHECK: iterator_types = ["parallel", "parallel"]
func.func @do_not_collapse_transposed(%x: memref<8x8xf32>, %y: memref<8x8xf32>) {
  linalg.generic {indexing_maps = [#two, #swapped], iterator_types = ["parallel", "parallel"]}
    ins(%x : memref<8x8xf32>) outs(%y : memref<8x8xf32>) {
  ^bb0(%in: f32, %old: f32):
    linalg.yield %in : f32
  }
  return
}

// CHECK-LABEL: @do_not_collapse_loops_whose_index_is_used
//   CHECK-NOT: collapse_shape
//       CHECK: iterator_types = ["parallel", "parallel"]
func.func @do_not_collapse_loops_whose_index_is_used(%y: memref<8x8xindex>) {
  linalg.generic {indexing_maps = [#two], iterator_types = ["parallel", "parallel"]}
    outs(%y : memref<8x8xindex>) {
  ^bb0(%old: index):
    %i = linalg.index 1 : index
    linalg.yield %i : index
  }
  return
}
