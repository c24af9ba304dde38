// RUN: plait-opt %s --split-input-file --pass-pipeline='builtin.module(train-lower-convolutions)' | FileCheck %s
// RUN: plait-opt %s --split-input-file --pass-pipeline='builtin.module(train-lower-convolutions)' --remarks-filter=train-lower.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK --implicit-check-not=remark:

// One image of 16x16 is enough for a product: its output is written in place.
// CHECK: #[[$COLUMNS:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d0, d1 + d4, d2 + d5)>
// CHECK-LABEL: func @one_image_a_tile
// CHECK:       scf.forall (%[[IMAGE:.*]]) in (16)
// CHECK:         %[[OUT:.*]] = memref.subview %arg2[%{{.*}}, 0, 0, 0] [1, 32, 16, 16]
// CHECK:         %[[ALLOC:.*]] = memref.alloc() : memref<16x3x3x1x16x16xf32>
// CHECK:         linalg.generic {indexing_maps = [#[[$COLUMNS]],
// CHECK-SAME:      outs(%[[ALLOC]]
// CHECK:         %[[COLUMNS:.*]] = memref.collapse_shape %[[ALLOC]] {{.*}} into memref<144x256xf32>
// CHECK:         %[[FILTER:.*]] = memref.collapse_shape {{.*}} into memref<32x144xf32
// CHECK:         %[[ACC:.*]] = memref.collapse_shape %[[OUT]]
// CHECK:         linalg.generic {{.*}} "reduction"]} ins(%[[FILTER]], %[[COLUMNS]] : {{.*}}) outs(%[[ACC]]
// CHECK-NOT:   linalg.conv
func.func @one_image_a_tile(%x: memref<16x16x18x18xf32>, %w: memref<32x16x3x3xf32>,
                            %o: memref<16x32x16x16xf32>) {
  linalg.conv_2d_nchw_fchw
      ins(%x, %w : memref<16x16x18x18xf32>, memref<32x16x3x3xf32>)
      outs(%o : memref<16x32x16x16xf32>)
  return
}

// -----

// Images of 4x4: several in one tile, gathered because channels lie between
// images and pixels, and the reduction in blocks, in order.
// CHECK-LABEL: func @several_images_a_tile
// CHECK:       scf.forall (%{{.*}}) = (0) to (512) step (32)
// CHECK:         %[[OWN:.*]] = memref.alloc() : memref<96x32x4x4xf32>
// CHECK:         linalg.generic {{.*}} outs(%[[OWN]]
// CHECK:         scf.for {{.*}} to %c64 step %c16
// CHECK:           memref.alloc() : memref<16x3x3x32x4x4xf32>
// CHECK:         linalg.generic {{.*}} ins(%[[OWN]]
func.func @several_images_a_tile(%x: memref<512x64x6x6xf32>, %w: memref<96x64x3x3xf32>,
                                 %o: memref<512x96x4x4xf32>) {
  linalg.conv_2d_nchw_fchw
      ins(%x, %w : memref<512x64x6x6xf32>, memref<96x64x3x3xf32>)
      outs(%o : memref<512x96x4x4xf32>)
  return
}

// -----

// A weight gradient: a filter as large as the image, an output of 3x3. Few
// places, so the copies and the product are divided among threads, and rows of
// the columns are pixels, which are the longer runs.
// CHECK-LABEL: func @weight_gradient
// CHECK:       scf.for
// CHECK:         %[[ALLOC:.*]] = memref.alloc() : memref<16x3x3x{{.*}}x32x32xf32>
// CHECK:         scf.forall
// CHECK:           linalg.generic
// CHECK-NOT:     scf.forall
// CHECK:         memref.collapse_shape %[[ALLOC]] {{.*}} into memref<144x{{[0-9]+}}xf32>
func.func @weight_gradient(%x: memref<16x32x34x34xf32>, %dy: memref<64x32x32x32xf32>,
                           %o: memref<16x64x3x3xf32>) {
  linalg.conv_2d_nchw_fchw
      ins(%x, %dy : memref<16x32x34x34xf32>, memref<64x32x32x32xf32>)
      outs(%o : memref<16x64x3x3xf32>)
  return
}

// -----

// JAX's layout, with a stride: the filter has its channels last, and the output
// is pixels by channels as it lies.
// CHECK: affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1 * 2 + d3, d2 * 2 + d4, d5)>
// CHECK-LABEL: func @channels_last
// CHECK:       scf.forall
// CHECK:         memref.alloc() : memref<1x16x16x3x3x8xf32>
// CHECK:         memref.collapse_shape {{.*}} into memref<256x72xf32>
// CHECK:         memref.collapse_shape {{.*}} into memref<72x24xf32
// CHECK:         memref.collapse_shape {{.*}} into memref<256x24xf32
func.func @channels_last(%x: memref<32x33x33x8xf32>, %w: memref<3x3x8x24xf32>,
                         %o: memref<32x16x16x24xf32>) {
  linalg.conv_2d_nhwc_hwcf {strides = dense<2> : tensor<2xi64>}
      ins(%x, %w : memref<32x33x33x8xf32>, memref<3x3x8x24xf32>)
      outs(%o : memref<32x16x16x24xf32>)
  return
}

// -----

// One group at a time.
// CHECK-LABEL: func @groups
// CHECK:       scf.forall (%{{.*}}, %{{.*}}) in (16, 2)
// CHECK:         memref.collapse_shape {{.*}} into memref<16x36xf32
func.func @groups(%x: memref<16x2x4x18x18xf32>, %w: memref<2x16x4x3x3xf32>,
                  %o: memref<16x2x16x16x16xf32>) {
  linalg.conv_2d_ngchw_gfchw
      ins(%x, %w : memref<16x2x4x18x18xf32>, memref<2x16x4x3x3xf32>)
      outs(%o : memref<16x2x16x16x16xf32>)
  return
}

// -----

// REMARK: remark: {{.*}}convolution not lowered: its groups have few channels
// CHECK-LABEL: func @do_not_lower_few_channels
// CHECK: linalg.conv_2d_ngchw_gfchw
func.func @do_not_lower_few_channels(%x: memref<16x2x4x18x18xf32>, %w: memref<2x8x4x3x3xf32>,
                  %o: memref<16x2x8x16x16xf32>) {
  linalg.conv_2d_ngchw_gfchw
      ins(%x, %w : memref<16x2x4x18x18xf32>, memref<2x8x4x3x3xf32>)
      outs(%o : memref<16x2x8x16x16xf32>)
  return
}

// -----

// REMARK: remark: {{.*}}convolution not lowered: it has not one output channel loop, as a depthwise one
// CHECK-LABEL: func @do_not_lower_depthwise
// CHECK: linalg.depthwise_conv_2d_nchw_chw
func.func @do_not_lower_depthwise(%x: memref<8x16x18x18xf32>, %w: memref<16x3x3xf32>,
                                  %o: memref<8x16x16x16xf32>) {
  linalg.depthwise_conv_2d_nchw_chw
      ins(%x, %w : memref<8x16x18x18xf32>, memref<16x3x3xf32>)
      outs(%o : memref<8x16x16x16xf32>)
  return
}

// -----

// REMARK: remark: {{.*}}convolution not lowered: the element type is not f32
// CHECK-LABEL: func @do_not_lower_f64
// CHECK: linalg.conv_2d_nchw_fchw
func.func @do_not_lower_f64(%x: memref<1x2x4x4xf64>, %w: memref<2x2x3x3xf64>,
                            %o: memref<1x2x2x2xf64>) {
  linalg.conv_2d_nchw_fchw
      ins(%x, %w : memref<1x2x4x4xf64>, memref<2x2x3x3xf64>)
      outs(%o : memref<1x2x2x2xf64>)
  return
}

// -----

// REMARK: remark: {{.*}}convolution not lowered: it does not multiply two operands and add
// CHECK-LABEL: func @do_not_lower_pooling
// CHECK: linalg.pooling_nchw_max
func.func @do_not_lower_pooling(%x: memref<1x2x4x4xf32>, %w: memref<2x2xf32>,
                                %o: memref<1x2x3x3xf32>) {
  linalg.pooling_nchw_max ins(%x, %w : memref<1x2x4x4xf32>, memref<2x2xf32>)
      outs(%o : memref<1x2x3x3xf32>)
  return
}

// -----

// REMARK: remark: {{.*}}convolution not lowered: a product of it would have one row or column
// CHECK-LABEL: func @do_not_lower_one_channel
// CHECK: linalg.conv_2d_nchw_fchw
func.func @do_not_lower_one_channel(%x: memref<1x2x4x4xf32>, %w: memref<1x2x3x3xf32>,
                                    %o: memref<1x1x2x2xf32>) {
  linalg.conv_2d_nchw_fchw
      ins(%x, %w : memref<1x2x4x4xf32>, memref<1x2x3x3xf32>)
      outs(%o : memref<1x1x2x2xf32>)
  return
}

// -----

// A filter with gaps is copied: a matrix has none.
// CHECK-LABEL: func @filter_with_gaps
// CHECK:         memref.alloc() : memref<8x4x3x3xf32>
// CHECK-NOT:     linalg.conv
// CHECK:         return
func.func @filter_with_gaps(%x: memref<4x4x11x11xf32>, %w: memref<8x4x3x3xf32, strided<[121, 25, 5, 1], offset: 6>>,
                            %o: memref<4x8x9x9xf32>) {
  linalg.conv_2d_nchw_fchw
      ins(%x, %w : memref<4x4x11x11xf32>, memref<8x4x3x3xf32, strided<[121, 25, 5, 1], offset: 6>>)
      outs(%o : memref<4x8x9x9xf32>)
  return
}

// -----

// An output with gaps, as a phase of a strided gradient: there is another one for
// the product, which begins with what is there and is copied back.
// CHECK-LABEL: func @output_with_gaps
// CHECK:         %[[OWN:.*]] = memref.alloc() : memref<8x4x9x9xf32>
// CHECK:         scf.forall
// CHECK:           %[[FROM:.*]] = memref.subview %arg2
// CHECK:           %[[TO:.*]] = memref.subview %[[OWN]]
// CHECK:           linalg.generic {{.*}} ins(%[[FROM]] : {{.*}}) outs(%[[TO]]
// CHECK:         %[[ACC:.*]] = memref.collapse_shape %[[OWN]]
// CHECK:         linalg.generic {{.*}} "reduction"]} {{.*}} outs(%[[ACC]]
// CHECK:         scf.forall
// CHECK:           %[[FROM:.*]] = memref.subview %[[OWN]]
// CHECK:           %[[TO:.*]] = memref.subview %arg2
// CHECK:           linalg.generic {{.*}} ins(%[[FROM]] : {{.*}}) outs(%[[TO]]
// CHECK-NOT:     linalg.conv
// CHECK:         return
func.func @output_with_gaps(%x: memref<4x4x11x11xf32>, %w: memref<8x4x3x3xf32>,
                            %o: memref<4x8x9x9xf32, strided<[900, 100, 10, 1]>>) {
  linalg.conv_2d_nchw_fchw
      ins(%x, %w : memref<4x4x11x11xf32>, memref<8x4x3x3xf32>)
      outs(%o : memref<4x8x9x9xf32, strided<[900, 100, 10, 1]>>)
  return
}

// -----

// Such an output of a tile is on a thread's stack: of 2048 channels, 128 pixels.
// CHECK-LABEL: func @many_channels_with_gaps
// CHECK:         scf.forall
// CHECK:           memref.alloc() : memref<2048x1x4x32xf32>
func.func @many_channels_with_gaps(%x: memref<32x64x34x34xf32>, %w: memref<2048x64x3x3xf32>,
                                   %o: memref<32x2048x32x32xf32, strided<[4194304, 2048, 64, 2]>>) {
  linalg.conv_2d_nchw_fchw
      ins(%x, %w : memref<32x64x34x34xf32>, memref<2048x64x3x3xf32>)
      outs(%o : memref<32x2048x32x32xf32, strided<[4194304, 2048, 64, 2]>>)
  return
}

// -----

// A bias, and ReLU behind: both for one tile at a time.
// CHECK-LABEL: func @bias_and_relu
// CHECK-NOT:     linalg
// CHECK:         scf.forall
// CHECK:           linalg.broadcast {{.*}} outs(%{{.*}} : memref<1x32x16x16xf32
// CHECK:           linalg.generic {{.*}} "reduction"]}
// CHECK:           linalg.generic {{.*}} outs(%{{.*}} : memref<1x32x16x16xf32
// CHECK-NOT:         plait.epilogue
// CHECK:             arith.maximumf
// CHECK-NOT:     linalg.generic
// CHECK:         return
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
func.func @bias_and_relu(%x: memref<16x16x18x18xf32>, %w: memref<32x16x3x3xf32>, %b: memref<32xf32>, %o: memref<16x32x16x16xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.broadcast ins(%b : memref<32xf32>) outs(%o : memref<16x32x16x16xf32>) dimensions = [0, 2, 3]
  linalg.conv_2d_nchw_fchw ins(%x, %w : memref<16x16x18x18xf32>, memref<32x16x3x3xf32>) outs(%o : memref<16x32x16x16xf32>)
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%o : memref<16x32x16x16xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32):
    %s = arith.maximumf %in, %zero : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// Sums of a tile of its own begin with a zero right before the product, which does
// that in registers: nothing is read or filled. The epilogue is behind the copy.
// CHECK-LABEL: func @gathered_from_zero
// CHECK-NOT:     linalg
// CHECK:         scf.forall
// CHECK:           %[[OWN:.*]] = memref.alloc() : memref<32x32x4x4xf32>
// CHECK-NOT:       outs(%[[OWN]] :
// CHECK:           %[[ACC:.*]] = memref.collapse_shape %[[OWN]] {{.*}} : memref<32x32x4x4xf32>
// CHECK-NEXT:      linalg.fill ins(%{{.*}} : f32) outs(%[[ACC]]
// CHECK-NEXT:      linalg.generic {{.*}} outs(%[[ACC]]
// CHECK:           linalg.generic {{.*}} ins(%[[OWN]]
// CHECK:           linalg.generic
// CHECK:             arith.addf
// CHECK-NOT:     linalg.generic
// CHECK:         return
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
func.func @gathered_from_zero(%x: memref<512x8x6x6xf32>, %w: memref<32x8x3x3xf32>, %r: memref<512x32x4x4xf32>, %o: memref<512x32x4x4xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%o : memref<512x32x4x4xf32>)
  linalg.conv_2d_nchw_fchw ins(%x, %w : memref<512x8x6x6xf32>, memref<32x8x3x3xf32>) outs(%o : memref<512x32x4x4xf32>)
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%r : memref<512x32x4x4xf32>) outs(%o : memref<512x32x4x4xf32>) attrs = {plait.epilogue} {
  ^bb0(%res: f32, %sum: f32):
    %s = arith.addf %sum, %res : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// What stands between may read the zeros.
// CHECK-LABEL: func @do_not_move_a_fill
// CHECK:         linalg.fill
// CHECK-NEXT:    memref.load
// CHECK:         scf.forall
// CHECK-NOT:       linalg.fill
// CHECK:         return
func.func @do_not_move_a_fill(%x: memref<16x16x18x18xf32>, %w: memref<32x16x3x3xf32>, %o: memref<16x32x16x16xf32>) -> f32 {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  linalg.fill ins(%zero : f32) outs(%o : memref<16x32x16x16xf32>)
  %v = memref.load %o[%c0, %c0, %c0, %c0] : memref<16x32x16x16xf32>
  linalg.conv_2d_nchw_fchw ins(%x, %w : memref<16x16x18x18xf32>, memref<32x16x3x3xf32>) outs(%o : memref<16x32x16x16xf32>)
  return %v : f32
}
