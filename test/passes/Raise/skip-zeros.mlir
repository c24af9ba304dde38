// RUN: plait-opt %s --split-input-file -train-skip-zeros | FileCheck %s

// The gradient of the input of a 3x3 convolution with stride 2, as PyTorch writes
// it: spread by rows, then by columns. Pixels of even rows and columns meet the
// middle tap alone; those of odd rows and columns meet the corners. Sums begin with
// zeros of their own; the whole result needs none, for each pixel is in a phase.

// CHECK-LABEL: func @phases
// CHECK-SAME:    %[[DY:[^:]*]]: tensor<8x64x16x16xf32>, %[[W:[^:]*]]: tensor<32x64x3x3xf32>
// CHECK-NOT:     tensor.insert_slice %[[DY]]
// CHECK:         %[[Z:.*]] = tensor.empty() : tensor<8x32x32x32xf32>
// CHECK:         %[[TAP:.*]] = tensor.extract_slice %[[W]][0, 0, 1, 1] [32, 64, 1, 1] [1, 1, 2, 2]
// CHECK:         %[[PART:.*]] = linalg.fill {{.*}} -> tensor<8x32x16x16xf32>
// CHECK:         %[[EVEN:.*]] = linalg.conv_2d_nchw_fchw{{.*}} ins(%[[DY]], %[[TAP]] : {{.*}}) outs(%[[PART]]
// CHECK:         %[[ONE:.*]] = tensor.insert_slice %[[EVEN]] into %[[Z]][0, 0, 0, 0] [8, 32, 16, 16] [1, 1, 2, 2]
// CHECK:         %[[PADDED:.*]] = tensor.pad %[[DY]] low[0, 0, 0, 0] high[0, 0, 0, 1]
// CHECK:         %[[TAPS:.*]] = tensor.extract_slice %[[W]][0, 0, 1, 0] [32, 64, 1, 2] [1, 1, 2, 2]
// CHECK:         linalg.conv_2d_nchw_fchw{{.*}} ins(%[[PADDED]], %[[TAPS]]
// CHECK:         tensor.insert_slice %{{.*}} into %[[ONE]][0, 0, 0, 1] [8, 32, 16, 16] [1, 1, 2, 2]
// CHECK:         tensor.extract_slice %[[W]][0, 0, 0, 1] [32, 64, 2, 1] [1, 1, 2, 2]
// CHECK:         linalg.conv_2d_nchw_fchw
// CHECK:         tensor.extract_slice %[[W]][0, 0, 0, 0] [32, 64, 2, 2] [1, 1, 2, 2]
// CHECK:         linalg.conv_2d_nchw_fchw
// CHECK:         %[[ALL:.*]] = tensor.insert_slice {{.*}}[0, 0, 1, 1] [8, 32, 16, 16] [1, 1, 2, 2]
// CHECK:         return %[[ALL]]
func.func @phases(%dy: tensor<8x64x16x16xf32>, %w: tensor<32x64x3x3xf32>) -> tensor<8x32x32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<8x64x34x16xf32>
  %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<8x64x34x16xf32>) -> tensor<8x64x34x16xf32>
  %rows = tensor.insert_slice %dy into %z0[0, 0, 1, 0] [8, 64, 16, 16] [1, 1, 2, 1]
      : tensor<8x64x16x16xf32> into tensor<8x64x34x16xf32>
  %e1 = tensor.empty() : tensor<8x64x34x34xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<8x64x34x34xf32>) -> tensor<8x64x34x34xf32>
  %all = tensor.insert_slice %rows into %z1[0, 0, 0, 1] [8, 64, 34, 16] [1, 1, 1, 2]
      : tensor<8x64x34x16xf32> into tensor<8x64x34x34xf32>
  %e = tensor.empty() : tensor<8x32x32x32xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x32x32x32xf32>) -> tensor<8x32x32x32xf32>
  %dx = linalg.conv_2d_nchw_fchw ins(%all, %w : tensor<8x64x34x34xf32>, tensor<32x64x3x3xf32>)
      outs(%z : tensor<8x32x32x32xf32>) -> tensor<8x32x32x32xf32>
  return %dx : tensor<8x32x32x32xf32>
}

// -----

// One tap and a stride of 2: three of four pixels keep their initial value. And
// JAX spreads in one step.

// CHECK-LABEL: func @one_tap
// CHECK:         linalg.fill {{.*}} -> tensor<8x8x8x32xf32>
// CHECK-COUNT-1: linalg.conv_2d_nhwc_hwcf{{.*}} ins(%arg0, %arg1 : tensor<8x4x4x64xf32>, tensor<1x1x64x32xf32>)
// CHECK-NOT:     linalg.conv
func.func @one_tap(%dy: tensor<8x4x4x64xf32>, %w: tensor<1x1x64x32xf32>) -> tensor<8x8x8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<8x8x8x64xf32>
  %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<8x8x8x64xf32>) -> tensor<8x8x8x64xf32>
  %all = tensor.insert_slice %dy into %z0[0, 0, 0, 0] [8, 4, 4, 64] [1, 2, 2, 1]
      : tensor<8x4x4x64xf32> into tensor<8x8x8x64xf32>
  %e = tensor.empty() : tensor<8x8x8x32xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x8x8x32xf32>) -> tensor<8x8x8x32xf32>
  %dx = linalg.conv_2d_nhwc_hwcf ins(%all, %w : tensor<8x8x8x64xf32>, tensor<1x1x64x32xf32>)
      outs(%z : tensor<8x8x8x32xf32>) -> tensor<8x8x8x32xf32>
  return %dx : tensor<8x8x8x32xf32>
}

// -----

// A weight gradient of JAX: the spread filter becomes a dilation.

// CHECK: #[[$DILATED:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d4, d0 + d5 * 2, d1 + d6 * 2, d2)>
// CHECK-LABEL: func @dilated
// CHECK:         linalg.generic {indexing_maps = [#[[$DILATED]],
// CHECK-SAME:      ins(%arg0, %arg1 : tensor<8x17x17x32xf32>, tensor<8x8x8x64xf32>)
func.func @dilated(%x: tensor<8x17x17x32xf32>, %dy: tensor<8x8x8x64xf32>) -> tensor<3x3x32x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<8x15x15x64xf32>
  %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<8x15x15x64xf32>) -> tensor<8x15x15x64xf32>
  %all = tensor.insert_slice %dy into %z0[0, 0, 0, 0] [8, 8, 8, 64] [1, 2, 2, 1]
      : tensor<8x8x8x64xf32> into tensor<8x15x15x64xf32>
  %e = tensor.empty() : tensor<3x3x32x64xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<3x3x32x64xf32>) -> tensor<3x3x32x64xf32>
  %dw = linalg.generic {
      indexing_maps = [affine_map<(i, j, c, f, n, y, x) -> (n, i + y, j + x, c)>,
                       affine_map<(i, j, c, f, n, y, x) -> (n, y, x, f)>,
                       affine_map<(i, j, c, f, n, y, x) -> (i, j, c, f)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %all : tensor<8x17x17x32xf32>, tensor<8x15x15x64xf32>) outs(%z : tensor<3x3x32x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<3x3x32x64xf32>
  return %dw : tensor<3x3x32x64xf32>
}

// -----

// PyTorch's weight gradient makes a tap more than there is, where the stride does
// not divide the padded image.

// CHECK-LABEL: func @taps_too_many
// CHECK:         linalg.fill {{.*}} -> tensor<64x128x3x3xf32>
// CHECK-NOT:     tensor.extract_slice
// CHECK:         linalg.conv_2d_nchw_fchw{{.*}} ins(%arg0, %arg1{{.*}} -> tensor<64x128x3x3xf32>
// CHECK-NOT:     4x4
func.func @taps_too_many(%x: tensor<64x32x34x34xf32>, %dy: tensor<128x32x16x16xf32>) -> tensor<64x128x3x3xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x128x4x4xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<64x128x4x4xf32>) -> tensor<64x128x4x4xf32>
  %dw = linalg.conv_2d_nchw_fchw {dilations = dense<2> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%x, %dy : tensor<64x32x34x34xf32>, tensor<128x32x16x16xf32>)
      outs(%z : tensor<64x128x4x4xf32>) -> tensor<64x128x4x4xf32>
  %a = tensor.extract_slice %dw[0, 0, 0, 0] [64, 128, 3, 4] [1, 1, 1, 1] : tensor<64x128x4x4xf32> to tensor<64x128x3x4xf32>
  %b = tensor.extract_slice %a[0, 0, 0, 0] [64, 128, 3, 3] [1, 1, 1, 1] : tensor<64x128x3x4xf32> to tensor<64x128x3x3xf32>
  return %b : tensor<64x128x3x3xf32>
}

// -----

// What is between the elements is not zero.

// CHECK-LABEL: func @do_not_split_not_zero
// CHECK-COUNT-1: linalg.conv_2d_nchw_fchw
// CHECK-NOT:     linalg.conv
func.func @do_not_split_not_zero(%dy: tensor<8x64x4x4xf32>, %w: tensor<32x64x1x1xf32>, %o: tensor<8x64x8x8xf32>, %z: tensor<8x32x8x8xf32>) -> tensor<8x32x8x8xf32> {
  %all = tensor.insert_slice %dy into %o[0, 0, 0, 0] [8, 64, 4, 4] [1, 1, 2, 2]
      : tensor<8x64x4x4xf32> into tensor<8x64x8x8xf32>
  %dx = linalg.conv_2d_nchw_fchw ins(%all, %w : tensor<8x64x8x8xf32>, tensor<32x64x1x1xf32>)
      outs(%z : tensor<8x32x8x8xf32>) -> tensor<8x32x8x8xf32>
  return %dx : tensor<8x32x8x8xf32>
}

// -----

// Both a stride and a dilation of the filter: a phase is not every second tap.

// CHECK-LABEL: func @do_not_split_dilation
// CHECK-COUNT-1: linalg.conv_2d_nchw_fchw
// CHECK-NOT:     linalg.conv
func.func @do_not_split_dilation(%dy: tensor<8x64x4x4xf32>, %w: tensor<32x64x3x3xf32>, %z: tensor<8x32x8x8xf32>) -> tensor<8x32x8x8xf32> {
  %zeros = arith.constant dense<0.0> : tensor<8x64x12x12xf32>
  %all = tensor.insert_slice %dy into %zeros[0, 0, 2, 2] [8, 64, 4, 4] [1, 1, 2, 2]
      : tensor<8x64x4x4xf32> into tensor<8x64x12x12xf32>
  %dx = linalg.conv_2d_nchw_fchw {dilations = dense<2> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%all, %w : tensor<8x64x12x12xf32>, tensor<32x64x3x3xf32>)
      outs(%z : tensor<8x32x8x8xf32>) -> tensor<8x32x8x8xf32>
  return %dx : tensor<8x32x8x8xf32>
}

// -----

// Depthwise: train-tile-convolutions spreads a tile in the cache.

// CHECK-LABEL: func @do_not_split_depthwise
// CHECK-COUNT-1: linalg.depthwise_conv_2d_nchw_chw
// CHECK-NOT:     conv
func.func @do_not_split_depthwise(%dy: tensor<8x64x4x4xf32>, %w: tensor<64x3x3xf32>, %z: tensor<8x64x8x8xf32>) -> tensor<8x64x8x8xf32> {
  %zeros = arith.constant dense<0.0> : tensor<8x64x10x10xf32>
  %all = tensor.insert_slice %dy into %zeros[0, 0, 1, 1] [8, 64, 4, 4] [1, 1, 2, 2]
      : tensor<8x64x4x4xf32> into tensor<8x64x10x10xf32>
  %dx = linalg.depthwise_conv_2d_nchw_chw ins(%all, %w : tensor<8x64x10x10xf32>, tensor<64x3x3xf32>)
      outs(%z : tensor<8x64x8x8xf32>) -> tensor<8x64x8x8xf32>
  return %dx : tensor<8x64x8x8xf32>
}

// -----

// Something else reads all of it.

// CHECK-LABEL: func @do_not_cut_what_is_read
// CHECK:         linalg.conv_2d_nchw_fchw{{.*}} -> tensor<8x32x4x4xf32>
func.func @do_not_cut_what_is_read(%x: tensor<8x64x4x4xf32>, %w: tensor<32x64x1x1xf32>, %z: tensor<8x32x4x4xf32>) -> (tensor<8x32x4x4xf32>, tensor<8x32x3x3xf32>) {
  %y = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<8x64x4x4xf32>, tensor<32x64x1x1xf32>)
      outs(%z : tensor<8x32x4x4xf32>) -> tensor<8x32x4x4xf32>
  %a = tensor.extract_slice %y[0, 0, 0, 0] [8, 32, 3, 3] [1, 1, 1, 1] : tensor<8x32x4x4xf32> to tensor<8x32x3x3xf32>
  return %y, %a : tensor<8x32x4x4xf32>, tensor<8x32x3x3xf32>
}
