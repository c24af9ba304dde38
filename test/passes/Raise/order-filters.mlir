// RUN: plait-opt %s --split-input-file -train-order-filters -canonicalize | FileCheck %s

// PyTorch's: a gather of each element, and a transpose. One copy is left, whose
// loops go through the filter as it lies.

// CHECK-DAG: #[[$TURNED:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, -d2 + 2, -d3 + 2)>
// CHECK-DAG: #[[$SWAPPED:.*]] = affine_map<(d0, d1, d2, d3) -> (d1, d0, d2, d3)>
// CHECK-LABEL: func @gather
// CHECK-NOT:     tensor.extract
// CHECK-NOT:     linalg.transpose
// CHECK:         %[[W:.*]] = linalg.generic {indexing_maps = [#[[$TURNED]], #[[$SWAPPED]]]
// CHECK-SAME:      ins(%arg1 : tensor<64x32x3x3xf32>) outs(%{{.*}} : tensor<32x64x3x3xf32>)
// CHECK:         linalg.conv_2d_nchw_fchw{{.*}} ins(%arg0, %[[W]]
func.func @gather(%dy: tensor<8x64x18x18xf32>, %w: tensor<64x32x3x3xf32>, %z: tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32> {
  %c2 = arith.constant 2 : index
  %e = tensor.empty() : tensor<64x32x3x3xf32>
  %turned = linalg.generic {
      indexing_maps = [affine_map<(i, j, y, x) -> (i, j, y, x)>, affine_map<(i, j, y, x) -> (i, j, y, x)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%w : tensor<64x32x3x3xf32>) outs(%e : tensor<64x32x3x3xf32>) {
  ^bb0(%a: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %y = linalg.index 2 : index
    %x = linalg.index 3 : index
    %v = arith.subi %c2, %y : index
    %u = arith.subi %c2, %x : index
    %s = tensor.extract %w[%i, %j, %v, %u] : tensor<64x32x3x3xf32>
    linalg.yield %s : f32
  } -> tensor<64x32x3x3xf32>
  %t = tensor.empty() : tensor<32x64x3x3xf32>
  %swapped = linalg.transpose ins(%turned : tensor<64x32x3x3xf32>) outs(%t : tensor<32x64x3x3xf32>) permutation = [1, 0, 2, 3]
  %dx = linalg.conv_2d_nchw_fchw ins(%dy, %swapped : tensor<8x64x18x18xf32>, tensor<32x64x3x3xf32>)
      outs(%z : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  return %dx : tensor<8x32x16x16xf32>
}

// -----

// JAX's: turned around by a map, and the channels in the middle. Those of the
// output are last, so they become last in the filter.

// CHECK-DAG: #[[$TURNED:.*]] = affine_map<(d0, d1, d2, d3) -> (-d0 + 2, -d1 + 2, d2, d3)>
// CHECK-DAG: #[[$SWAPPED:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3, d2)>
// CHECK-DAG: #[[$FILTER:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d4, d5, d6, d3)>
// CHECK-LABEL: func @channels_in_the_middle
// CHECK:         %[[W:.*]] = linalg.generic {indexing_maps = [#[[$TURNED]], #[[$SWAPPED]]]
// CHECK-SAME:      ins(%arg1 : tensor<3x3x32x64xf32>) outs(%{{.*}} : tensor<3x3x64x32xf32>)
// CHECK:         linalg.generic {indexing_maps = [{{.*}}, #[[$FILTER]], {{.*}} ins(%arg0, %[[W]]
func.func @channels_in_the_middle(%dy: tensor<8x18x18x64xf32>, %w: tensor<3x3x32x64xf32>, %z: tensor<8x16x16x32xf32>) -> tensor<8x16x16x32xf32> {
  %e = tensor.empty() : tensor<3x3x32x64xf32>
  %turned = linalg.generic {
      indexing_maps = [affine_map<(y, x, i, j) -> (2 - y, 2 - x, i, j)>, affine_map<(y, x, i, j) -> (y, x, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%w : tensor<3x3x32x64xf32>) outs(%e : tensor<3x3x32x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<3x3x32x64xf32>
  %dx = linalg.generic {
      indexing_maps = [affine_map<(n, y, x, c, i, j, f) -> (n, y + i, x + j, f)>,
                       affine_map<(n, y, x, c, i, j, f) -> (i, j, c, f)>,
                       affine_map<(n, y, x, c, i, j, f) -> (n, y, x, c)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%dy, %turned : tensor<8x18x18x64xf32>, tensor<3x3x32x64xf32>) outs(%z : tensor<8x16x16x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x16x16x32xf32>
  return %dx : tensor<8x16x16x32xf32>
}

// -----

// A slice is read through the map as well: every second tap, turned around.

// CHECK-DAG: #[[$TAPS:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2 * -2 + 2, d3 * -2 + 1)>
// CHECK-LABEL: func @taps
// CHECK-NOT:     tensor.extract_slice
// CHECK:         linalg.generic {indexing_maps = [#[[$TAPS]], {{.*}} outs(%{{.*}} : tensor<32x64x2x1xf32>)
func.func @taps(%dy: tensor<8x64x17x16xf32>, %w: tensor<32x64x3x3xf32>, %z: tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32> {
  %e = tensor.empty() : tensor<32x64x3x3xf32>
  %turned = linalg.generic {
      indexing_maps = [affine_map<(i, j, y, x) -> (i, j, 2 - y, 2 - x)>, affine_map<(i, j, y, x) -> (i, j, y, x)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%w : tensor<32x64x3x3xf32>) outs(%e : tensor<32x64x3x3xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<32x64x3x3xf32>
  %taps = tensor.extract_slice %turned[0, 0, 0, 1] [32, 64, 2, 1] [1, 1, 2, 2] : tensor<32x64x3x3xf32> to tensor<32x64x2x1xf32>
  %dx = linalg.conv_2d_nchw_fchw ins(%dy, %taps : tensor<8x64x17x16xf32>, tensor<32x64x2x1xf32>)
      outs(%z : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  return %dx : tensor<8x32x16x16xf32>
}

// -----

// As it is: a filter in order, one copied once, and one of a few groups, which
// is read in any order.

// CHECK-LABEL: func @do_not_copy_in_order
// CHECK-NOT:     linalg.generic
func.func @do_not_copy_in_order(%x: tensor<8x64x18x18xf32>, %w: tensor<32x64x3x3xf32>, %z: tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32> {
  %y = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<8x64x18x18xf32>, tensor<32x64x3x3xf32>)
      outs(%z : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  return %y : tensor<8x32x16x16xf32>
}

// CHECK-LABEL: func @do_not_copy_again
// CHECK:         %[[T:.*]] = linalg.transpose
// CHECK-NOT:     linalg.generic
// CHECK:         linalg.conv_2d_nchw_fchw{{.*}} ins(%arg0, %[[T]]
func.func @do_not_copy_again(%x: tensor<64x8x18x18xf32>, %dy: tensor<8x32x16x16xf32>, %z: tensor<64x32x3x3xf32>) -> tensor<64x32x3x3xf32> {
  %e = tensor.empty() : tensor<32x8x16x16xf32>
  %t = linalg.transpose ins(%dy : tensor<8x32x16x16xf32>) outs(%e : tensor<32x8x16x16xf32>) permutation = [1, 0, 2, 3]
  %dw = linalg.conv_2d_nchw_fchw ins(%x, %t : tensor<64x8x18x18xf32>, tensor<32x8x16x16xf32>)
      outs(%z : tensor<64x32x3x3xf32>) -> tensor<64x32x3x3xf32>
  return %dw : tensor<64x32x3x3xf32>
}

// CHECK-LABEL: func @do_not_order_depthwise
// CHECK-NOT:     linalg.generic
func.func @do_not_order_depthwise(%x: tensor<8x18x18x64xf32>, %w: tensor<3x3x64xf32>, %z: tensor<8x16x16x64xf32>) -> tensor<8x16x16x64xf32> {
  %y = linalg.depthwise_conv_2d_nhwc_hwc ins(%x, %w : tensor<8x18x18x64xf32>, tensor<3x3x64xf32>)
      outs(%z : tensor<8x16x16x64xf32>) -> tensor<8x16x16x64xf32>
  return %y : tensor<8x16x16x64xf32>
}
