// RUN: plait-opt %s -train-parallelize -canonicalize | FileCheck %s
// RUN: plait-opt %s -train-parallelize=min-elements=1000000 -canonicalize | FileCheck %s --check-prefix=NONE

// NONE-NOT: scf.forall (%{{.*}}) = (0)

// 32 chunks, whatever the number of threads.

// CHECK-LABEL: func.func @elementwise
// CHECK:         scf.forall (%{{.*}}) = (0) to (512) step (16)
// CHECK:           linalg.exp ins(%{{.*}} : tensor<16x128xf32>)
func.func @elementwise(%x: tensor<512x128xf32>, %z: tensor<512x128xf32>) -> tensor<512x128xf32> {
  %0 = linalg.exp ins(%x : tensor<512x128xf32>) outs(%z : tensor<512x128xf32>) -> tensor<512x128xf32>
  return %0 : tensor<512x128xf32>
}

// The parallel dimension is split, the reduction never is: the order of the
// additions is the same.

// CHECK-LABEL: func.func @reduce_rows
// CHECK:         scf.forall (%{{.*}}) = (0) to (512) step (16)
// CHECK:           linalg.reduce {{.*}} ins(%{{.*}} : tensor<16x128xf32>) {{.*}} dimensions = [1]
// CHECK-LABEL: func.func @reduce_columns
// CHECK:         scf.forall (%{{.*}}) = (0) to (128) step (4)
// CHECK:           linalg.reduce {{.*}} ins(%{{.*}} : tensor<512x4xf32>) {{.*}} dimensions = [0]
func.func @reduce_rows(%x: tensor<512x128xf32>, %z: tensor<512xf32>) -> tensor<512xf32> {
  %0 = linalg.reduce { arith.addf } ins(%x : tensor<512x128xf32>) outs(%z : tensor<512xf32>) dimensions = [1]
  return %0 : tensor<512xf32>
}
func.func @reduce_columns(%x: tensor<512x128xf32>, %z: tensor<128xf32>) -> tensor<128xf32> {
  %0 = linalg.reduce { arith.addf } ins(%x : tensor<512x128xf32>) outs(%z : tensor<128xf32>) dimensions = [0]
  return %0 : tensor<128xf32>
}

// 500 is no multiple of 16: chunks of 20, all of one shape.

// CHECK-LABEL: func.func @chunks_divide
// CHECK:         scf.forall (%{{.*}}) = (0) to (500) step (20)
func.func @chunks_divide(%x: tensor<500x128xf32>, %z: tensor<500x128xf32>) -> tensor<500x128xf32> {
  %0 = linalg.exp ins(%x : tensor<500x128xf32>) outs(%z : tensor<500x128xf32>) -> tensor<500x128xf32>
  return %0 : tensor<500x128xf32>
}

// CHECK-LABEL: func.func @do_not_split_small
// CHECK-NOT:     scf.forall
func.func @do_not_split_small(%x: tensor<16x16xf32>, %z: tensor<16x16xf32>) -> tensor<16x16xf32> {
  %0 = linalg.exp ins(%x : tensor<16x16xf32>) outs(%z : tensor<16x16xf32>) -> tensor<16x16xf32>
  return %0 : tensor<16x16xf32>
}

// CHECK-LABEL: func.func @do_not_split_full_reduction
// CHECK-NOT:     scf.forall
func.func @do_not_split_full_reduction(%x: tensor<512x128xf32>, %z: tensor<f32>) -> tensor<f32> {
  %0 = linalg.reduce { arith.addf } ins(%x : tensor<512x128xf32>) outs(%z : tensor<f32>) dimensions = [0, 1]
  return %0 : tensor<f32>
}

// CHECK-LABEL: func.func @do_not_split_product
// CHECK-NOT:     scf.forall
func.func @do_not_split_product(%x: tensor<512x512xf32>, %z: tensor<512x512xf32>) -> tensor<512x512xf32> {
  %0 = linalg.matmul ins(%x, %x : tensor<512x512xf32>, tensor<512x512xf32>) outs(%z : tensor<512x512xf32>) -> tensor<512x512xf32>
  return %0 : tensor<512x512xf32>
}

// CHECK-LABEL: func.func @do_not_split_fill
// CHECK-NOT:     scf.forall
func.func @do_not_split_fill(%z: tensor<512x512xf32>) -> tensor<512x512xf32> {
  %c = arith.constant 0.0 : f32
  %0 = linalg.fill ins(%c : f32) outs(%z : tensor<512x512xf32>) -> tensor<512x512xf32>
  return %0 : tensor<512x512xf32>
}

// CHECK-LABEL: func.func @do_not_split_dynamic_shape
// CHECK-NOT:     scf.forall
func.func @do_not_split_dynamic_shape(%x: tensor<?x128xf32>, %z: tensor<?x128xf32>) -> tensor<?x128xf32> {
  %0 = linalg.exp ins(%x : tensor<?x128xf32>) outs(%z : tensor<?x128xf32>) -> tensor<?x128xf32>
  return %0 : tensor<?x128xf32>
}

// CHECK-LABEL: func.func @do_not_split_inside_a_loop
// CHECK-COUNT-1: scf.forall
// CHECK-NOT:     scf.forall (
func.func @do_not_split_inside_a_loop(%x: tensor<512x128xf32>, %z: tensor<512x128xf32>) -> tensor<512x128xf32> {
  %r = scf.forall (%i) in (2) shared_outs(%o = %z) -> tensor<512x128xf32> {
    %0 = linalg.exp ins(%x : tensor<512x128xf32>) outs(%o : tensor<512x128xf32>) -> tensor<512x128xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %0 into %o[0, 0] [512, 128] [1, 1] : tensor<512x128xf32> into tensor<512x128xf32>
    }
  }
  return %r : tensor<512x128xf32>
}

// A filter that is turned around: upstream's tiling took one of three rows for all
// that a tile reads. Divided along a loop that is an index of its own.

// CHECK-LABEL: func.func @backward
// CHECK:         scf.forall (%[[I:.*]]) = (0) to (64) step (2)
// CHECK:           %[[FROM:.*]] = tensor.extract_slice %{{.*}}[0, %[[I]], 0] [3, 2, 512]
// CHECK:           %[[TO:.*]] = tensor.extract_slice %{{.*}}[0, 0, %[[I]]] [3, 512, 2]
// CHECK:           linalg.generic {{.*}} ins(%[[FROM]] : tensor<3x2x512xf32>) outs(%[[TO]] : tensor<3x512x2xf32>)
// CHECK:             tensor.parallel_insert_slice %{{.*}} into %{{.*}}[0, 0, %[[I]]] [3, 512, 2]
func.func @backward(%x: tensor<3x64x512xf32>, %z: tensor<3x512x64xf32>) -> tensor<3x512x64xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(i, j, k) -> (2 - i, j, k)>, affine_map<(i, j, k) -> (i, k, j)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<3x64x512xf32>) outs(%z : tensor<3x512x64xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  } -> tensor<3x512x64xf32>
  return %0 : tensor<3x512x64xf32>
}

// No loop is, in both: it stays whole.

// CHECK-LABEL: func.func @do_not_divide_backward
// CHECK-NOT:     scf.forall
func.func @do_not_divide_backward(%x: tensor<512x128xf32>, %z: tensor<512x128xf32>) -> tensor<512x128xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (511 - i, 127 - j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<512x128xf32>) outs(%z : tensor<512x128xf32>) {
  ^bb0(%in: f32, %o: f32):
    linalg.yield %in : f32
  } -> tensor<512x128xf32>
  return %0 : tensor<512x128xf32>
}

// What a product does on its sums is divided with the product.

// CHECK-LABEL: func.func @do_not_split_epilogue
// CHECK-NOT:     scf.forall
// CHECK:         return
func.func @do_not_split_epilogue(%x: tensor<512x128xf32>) -> tensor<512x128xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} outs(%x : tensor<512x128xf32>) attrs = {plait.epilogue} {
  ^bb0(%a: f32):
    %m = arith.mulf %a, %a : f32
    linalg.yield %m : f32
  } -> tensor<512x128xf32>
  return %0 : tensor<512x128xf32>
}

// A sum of products for each channel, of batch-norm's gradient, is no product of
// matrices, and nobody else divides it.

// CHECK-LABEL: func.func @sum_of_products
// CHECK:         scf.forall (%{{.*}}) = (0) to (64) step (2)
func.func @sum_of_products(%x: tensor<8x64x16x16xf32>, %g: tensor<8x64x16x16xf32>, %z: tensor<64xf32>) -> tensor<64xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(n, c, y, x) -> (n, c, y, x)>, affine_map<(n, c, y, x) -> (n, c, y, x)>,
                       affine_map<(n, c, y, x) -> (c)>],
      iterator_types = ["reduction", "parallel", "reduction", "reduction"]}
      ins(%x, %g : tensor<8x64x16x16xf32>, tensor<8x64x16x16xf32>) outs(%z : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<64xf32>
  return %0 : tensor<64xf32>
}

// A bias is the first value of sums, for each tile of the convolution: it is moved
// there, and left to it.

// CHECK-LABEL: func.func @do_not_divide_first_values
// CHECK-NOT:     scf.forall
// CHECK:         linalg.broadcast
// CHECK-NEXT:    linalg.conv_2d_nchw_fchw
func.func @do_not_divide_first_values(%x: tensor<16x16x18x18xf32>, %w: tensor<32x16x3x3xf32>, %b: tensor<32xf32>, %e: tensor<16x32x16x16xf32>) -> tensor<16x32x16x16xf32> {
  %bias = linalg.broadcast ins(%b : tensor<32xf32>) outs(%e : tensor<16x32x16x16xf32>) dimensions = [0, 2, 3]
  %one = arith.constant 1.0 : f32
  %y = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<16x16x18x18xf32>, tensor<32x16x3x3xf32>) outs(%bias : tensor<16x32x16x16xf32>) -> tensor<16x32x16x16xf32>
  return %y : tensor<16x32x16x16xf32>
}
