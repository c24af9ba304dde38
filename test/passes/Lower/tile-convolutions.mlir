// RUN: plait-opt %s --train-tile-convolutions --canonicalize | FileCheck %s

// CHECK: #[[$IMAGES:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6, d7) -> (d5, d1, d0, d3 + d6, d4 + d7)>

// Tiles of one image and two channels, each of which pads its own part and
// begins with its bias.
// CHECK-LABEL: func @depthwise
// CHECK-NOT:     tensor.pad
// CHECK-NOT:     linalg.broadcast
// CHECK:         %[[OUT:.*]] = tensor.empty() : tensor<32x32x56x56xf32>
// CHECK:         scf.forall (%[[N:.*]], %[[C:.*]]) = (0, 0) to (32, 32) step (1, 2) shared_outs(%[[TILES:.*]] = %[[OUT]])
// CHECK-DAG:       %[[X:.*]] = tensor.extract_slice %arg0[%[[N]], %[[C]], 0, 0] [1, 2, 56, 56]
// CHECK-DAG:       %[[PADDED:.*]] = tensor.pad %[[X]] low[0, 0, 1, 1] high[0, 0, 1, 1]
// CHECK-DAG:       %[[TILE:.*]] = tensor.extract_slice %[[TILES]][%[[N]], %[[C]], 0, 0]
// CHECK-DAG:       %[[BIAS:.*]] = linalg.broadcast {{.*}} outs(%[[TILE]]
// CHECK:           linalg.generic {{.*}} ins(%[[PADDED]], {{.*}} outs(%[[BIAS]]
func.func @depthwise(%x: tensor<32x32x56x56xf32>, %w: tensor<32x3x3xf32>,
                     %b: tensor<32xf32>) -> tensor<32x32x56x56xf32> {
  %zero = arith.constant 0.0 : f32
  %padded = tensor.pad %x low[0, 0, 1, 1] high[0, 0, 1, 1] {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<32x32x56x56xf32> to tensor<32x32x58x58xf32>
  %e = tensor.empty() : tensor<32x32x56x56xf32>
  %bias = linalg.broadcast ins(%b : tensor<32xf32>) outs(%e : tensor<32x32x56x56xf32>)
      dimensions = [0, 2, 3]
  %y = linalg.depthwise_conv_2d_nchw_chw
      ins(%padded, %w : tensor<32x32x58x58xf32>, tensor<32x3x3xf32>)
      outs(%bias : tensor<32x32x56x56xf32>) -> tensor<32x32x56x56xf32>
  return %y : tensor<32x32x56x56xf32>
}

// The gradient of a strided one's input: a tile spreads its own part.
// CHECK-LABEL: func @spread
// CHECK:         scf.forall
// CHECK-DAG:       %[[G:.*]] = tensor.extract_slice %arg0[%{{.*}}, %{{.*}}, 0, 0] [1, 2, 28, 28]
// CHECK-DAG:       %[[ZEROS:.*]] = linalg.fill {{.*}} -> tensor<1x2x58x28xf32>
// CHECK-DAG:       %[[ROWS:.*]] = tensor.insert_slice %[[G]] into %[[ZEROS]][0, 0, 1, 0] [1, 2, 28, 28] [1, 1, 2, 1]
// CHECK-DAG:       %[[MORE:.*]] = linalg.fill {{.*}} -> tensor<1x2x58x58xf32>
// CHECK-DAG:       %[[ALL:.*]] = tensor.insert_slice %[[ROWS]] into %[[MORE]][0, 0, 0, 1] [1, 2, 58, 28] [1, 1, 1, 2]
// CHECK:           linalg.generic {{.*}} ins(%[[ALL]]
func.func @spread(%g: tensor<32x32x28x28xf32>, %w: tensor<32x3x3xf32>) -> tensor<32x32x56x56xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<32x32x58x28xf32>
  %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<32x32x58x28xf32>) -> tensor<32x32x58x28xf32>
  %rows = tensor.insert_slice %g into %z0[0, 0, 1, 0] [32, 32, 28, 28] [1, 1, 2, 1]
      : tensor<32x32x28x28xf32> into tensor<32x32x58x28xf32>
  %e1 = tensor.empty() : tensor<32x32x58x58xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32x32x58x58xf32>) -> tensor<32x32x58x58xf32>
  %all = tensor.insert_slice %rows into %z1[0, 0, 0, 1] [32, 32, 58, 28] [1, 1, 1, 2]
      : tensor<32x32x58x28xf32> into tensor<32x32x58x58xf32>
  %e = tensor.empty() : tensor<32x32x56x56xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<32x32x56x56xf32>) -> tensor<32x32x56x56xf32>
  %dx = linalg.depthwise_conv_2d_nchw_chw
      ins(%all, %w : tensor<32x32x58x58xf32>, tensor<32x3x3xf32>)
      outs(%z : tensor<32x32x56x56xf32>) -> tensor<32x32x56x56xf32>
  return %dx : tensor<32x32x56x56xf32>
}

// A weight gradient: threads divide the channels, and a thread goes through the
// images of a channel, two at a time, which are read as they lie.
// CHECK-LABEL: func @weight_gradient
// CHECK-NOT:     linalg.transpose
// CHECK:         scf.forall (%[[C:.*]]) in (32)
// CHECK:           %[[ZERO:.*]] = linalg.fill
// CHECK:           scf.for %[[N:.*]] = %c0 to %c32 step %c2 iter_args(%{{.*}} = %[[ZERO]])
// CHECK-DAG:         tensor.extract_slice %{{.*}}[%[[N]], {{.*}} [2, 1, 1, 56, 56]
// CHECK-DAG:         %[[PADDED:.*]] = tensor.pad
// CHECK:             linalg.generic {indexing_maps = [#[[$IMAGES]], {{.*}} ins(%[[PADDED]], {{.*}} tensor<2x1x1x58x58xf32>, tensor<2x1x1x56x56xf32>
func.func @weight_gradient(%x: tensor<32x32x1x56x56xf32>, %g: tensor<32x32x1x56x56xf32>)
    -> tensor<1x32x1x3x3xf32> {
  %zero = arith.constant 0.0 : f32
  %ex = tensor.empty() : tensor<1x32x32x56x56xf32>
  %xt = linalg.transpose ins(%x : tensor<32x32x1x56x56xf32>) outs(%ex : tensor<1x32x32x56x56xf32>)
      permutation = [2, 1, 0, 3, 4]
  %eg = tensor.empty() : tensor<32x1x32x56x56xf32>
  %gt = linalg.transpose ins(%g : tensor<32x32x1x56x56xf32>) outs(%eg : tensor<32x1x32x56x56xf32>)
      permutation = [1, 2, 0, 3, 4]
  %padded = tensor.pad %xt low[0, 0, 0, 1, 1] high[0, 0, 0, 1, 1] {
  ^bb0(%c: index, %g0: index, %n: index, %i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<1x32x32x56x56xf32> to tensor<1x32x32x58x58xf32>
  %e = tensor.empty() : tensor<1x32x1x3x3xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<1x32x1x3x3xf32>) -> tensor<1x32x1x3x3xf32>
  %dw = linalg.conv_2d_ngchw_gfchw
      ins(%padded, %gt : tensor<1x32x32x58x58xf32>, tensor<32x1x32x56x56xf32>)
      outs(%z : tensor<1x32x1x3x3xf32>) -> tensor<1x32x1x3x3xf32>
  return %dw : tensor<1x32x1x3x3xf32>
}

// A padded image that does not fit in a cache is padded before.
// CHECK-LABEL: func @do_not_fuse_large_padding
// CHECK:         %[[PADDED:.*]] = scf.forall
// CHECK:           tensor.insert_slice
// CHECK:         scf.forall
// CHECK:           tensor.extract_slice %[[PADDED]]
func.func @do_not_fuse_large_padding(%x: tensor<2x2x510x510xf32>, %w: tensor<2x3x3xf32>,
                                     %o: tensor<2x2x510x510xf32>) -> tensor<2x2x510x510xf32> {
  %zero = arith.constant 0.0 : f32
  %padded = tensor.pad %x low[0, 0, 1, 1] high[0, 0, 1, 1] {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<2x2x510x510xf32> to tensor<2x2x512x512xf32>
  %y = linalg.depthwise_conv_2d_nchw_chw
      ins(%padded, %w : tensor<2x2x512x512xf32>, tensor<2x3x3xf32>)
      outs(%o : tensor<2x2x510x510xf32>) -> tensor<2x2x510x510xf32>
  return %y : tensor<2x2x510x510xf32>
}

// CHECK-LABEL: func @do_not_tile_product
// CHECK-NOT:     scf.forall
// CHECK:         linalg.conv_2d_nchw_fchw
func.func @do_not_tile_product(%x: tensor<16x16x18x18xf32>, %w: tensor<32x16x3x3xf32>,
                               %o: tensor<16x32x16x16xf32>) -> tensor<16x32x16x16xf32> {
  %y = linalg.conv_2d_nchw_fchw
      ins(%x, %w : tensor<16x16x18x18xf32>, tensor<32x16x3x3xf32>)
      outs(%o : tensor<16x32x16x16xf32>) -> tensor<16x32x16x16xf32>
  return %y : tensor<16x32x16x16xf32>
}

// CHECK-LABEL: func @do_not_tile_small
// CHECK-NOT:     scf.forall
// CHECK:         linalg.depthwise_conv_2d_nchw_chw
func.func @do_not_tile_small(%x: tensor<2x4x10x10xf32>, %w: tensor<4x3x3xf32>,
                             %o: tensor<2x4x8x8xf32>) -> tensor<2x4x8x8xf32> {
  %y = linalg.depthwise_conv_2d_nchw_chw
      ins(%x, %w : tensor<2x4x10x10xf32>, tensor<4x3x3xf32>)
      outs(%o : tensor<2x4x8x8xf32>) -> tensor<2x4x8x8xf32>
  return %y : tensor<2x4x8x8xf32>
}

// The epilogue, which works in the place of the sums, is the last op of a tile.
// CHECK-LABEL: func @epilogue
// CHECK-NOT:     linalg
// CHECK:         scf.forall {{.*}} shared_outs(%[[TILES:.*]] = %{{.*}})
// CHECK:           %[[BIAS:.*]] = linalg.broadcast
// CHECK:           %[[SUMS:.*]] = linalg.generic {{.*}} outs(%[[BIAS]]
// CHECK:           %[[Y:.*]] = linalg.generic {{.*}} outs(%[[SUMS]] : tensor<1x2x56x56xf32>) attrs = {plait.epilogue}
// CHECK:           tensor.parallel_insert_slice %[[Y]] into %[[TILES]]
// CHECK-NOT:     linalg
// CHECK:         return
func.func @epilogue(%x: tensor<32x32x58x58xf32>, %w: tensor<32x3x3xf32>,
                    %b: tensor<32xf32>) -> tensor<32x32x56x56xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32x32x56x56xf32>
  %bias = linalg.broadcast ins(%b : tensor<32xf32>) outs(%e : tensor<32x32x56x56xf32>)
      dimensions = [0, 2, 3]
  %sums = linalg.depthwise_conv_2d_nchw_chw
      ins(%x, %w : tensor<32x32x58x58xf32>, tensor<32x3x3xf32>)
      outs(%bias : tensor<32x32x56x56xf32>) -> tensor<32x32x56x56xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, c, y, x) -> (n, c, y, x)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      outs(%sums : tensor<32x32x56x56xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32):
    %m = arith.maximumf %in, %zero : f32
    linalg.yield %m : f32
  } -> tensor<32x32x56x56xf32>
  return %y : tensor<32x32x56x56xf32>
}

// Backward reads the sums, too: the loop makes both. The convolution is done once.
// CHECK-LABEL: func @epilogue_and_sums
// CHECK:         %[[BOTH:.*]]:2 = scf.forall
// CHECK-COUNT-1:   "reduction"
// CHECK:           linalg.generic {{.*}} attrs = {plait.epilogue}
// CHECK-NOT:     "reduction"
// CHECK:         return %[[BOTH]]#{{[01]}}, %[[BOTH]]#{{[01]}}
func.func @epilogue_and_sums(%x: tensor<32x32x58x58xf32>, %w: tensor<32x3x3xf32>)
    -> (tensor<32x32x56x56xf32>, tensor<32x32x56x56xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32x32x56x56xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<32x32x56x56xf32>) -> tensor<32x32x56x56xf32>
  %sums = linalg.depthwise_conv_2d_nchw_chw
      ins(%x, %w : tensor<32x32x58x58xf32>, tensor<32x3x3xf32>)
      outs(%z : tensor<32x32x56x56xf32>) -> tensor<32x32x56x56xf32>
  %e1 = tensor.empty() : tensor<32x32x56x56xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, c, y, x) -> (n, c, y, x)>,
                                        affine_map<(n, c, y, x) -> (n, c, y, x)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%sums : tensor<32x32x56x56xf32>) outs(%e1 : tensor<32x32x56x56xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %out: f32):
    %m = arith.maximumf %in, %zero : f32
    linalg.yield %m : f32
  } -> tensor<32x32x56x56xf32>
  return %sums, %y : tensor<32x32x56x56xf32>, tensor<32x32x56x56xf32>
}

// What becomes products is not divided here, but reads a transposed image in place.
// CHECK-LABEL: func @reads_in_place
// CHECK-NOT:     linalg.transpose
// CHECK:         %[[PADDED:.*]] = scf.forall
// CHECK:           tensor.extract_slice %arg0
// CHECK:         linalg.generic {{.*}} ins(%[[PADDED]], %arg1
func.func @reads_in_place(%x: tensor<32x64x16x16xf32>, %g: tensor<128x32x16x16xf32>) -> tensor<64x128x3x3xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<64x32x16x16xf32>
  %t = linalg.transpose ins(%x : tensor<32x64x16x16xf32>) outs(%e0 : tensor<64x32x16x16xf32>) permutation = [1, 0, 2, 3]
  %padded = tensor.pad %t low[0, 0, 1, 1] high[0, 0, 1, 1] {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<64x32x16x16xf32> to tensor<64x32x18x18xf32>
  %e = tensor.empty() : tensor<64x128x3x3xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<64x128x3x3xf32>) -> tensor<64x128x3x3xf32>
  %dw = linalg.conv_2d_nchw_fchw ins(%padded, %g : tensor<64x32x18x18xf32>, tensor<128x32x16x16xf32>)
      outs(%z : tensor<64x128x3x3xf32>) -> tensor<64x128x3x3xf32>
  return %dw : tensor<64x128x3x3xf32>
}

// Each thread pads images of its own, for those who read more than one of them.

// CHECK-LABEL: func.func @pad
// CHECK-NOT:     tensor.pad
// CHECK:         scf.forall (%[[N:.*]]) = (0) to (64) step (2) shared_outs(%[[OUT:.*]] = %{{.*}})
// CHECK:           %[[PART:.*]] = tensor.extract_slice %[[OUT]][%[[N]], 0, 0, 0] [2, 16, 18, 19]
// CHECK:           %[[ZEROS:.*]] = linalg.fill {{.*}} outs(%[[PART]]
// CHECK:           %[[X:.*]] = tensor.extract_slice %arg0[%[[N]], 0, 0, 0] [2, 16, 16, 16]
// CHECK:           %[[ALL:.*]] = tensor.insert_slice %[[X]] into %[[ZEROS]][0, 0, 1, 2] [2, 16, 16, 16]
// CHECK:           tensor.parallel_insert_slice %[[ALL]] into %[[OUT]]
func.func @pad(%x: tensor<64x16x16x16xf32>) -> tensor<64x16x18x19xf32> {
  %zero = arith.constant 0.0 : f32
  %padded = tensor.pad %x low[0, 0, 1, 2] high[0, 0, 1, 1] {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<64x16x16x16xf32> to tensor<64x16x18x19xf32>
  return %padded : tensor<64x16x18x19xf32>
}

// CHECK-LABEL: func.func @do_not_divide_padding
// CHECK-NOT:     scf.forall
// CHECK:         tensor.pad
func.func @do_not_divide_padding(%x: tensor<62x16x16x16xf32>) -> tensor<64x16x16x16xf32> {
  %zero = arith.constant 0.0 : f32
  %padded = tensor.pad %x low[1, 0, 0, 0] high[1, 0, 0, 0] {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<62x16x16x16xf32> to tensor<64x16x16x16xf32>
  return %padded : tensor<64x16x16x16xf32>
}
