// RUN: plait-opt %s -train-check-epilogues -split-input-file | FileCheck %s
// RUN: plait-opt %s -train-check-epilogues -split-input-file --remarks-filter="train-check-epilogues" -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: plait-opt %s -train-check-epilogues -train-lower-contractions=parallel=false -split-input-file | FileCheck %s --check-prefix=LOWERED

// What the epilogue stores is there before the product, whose operands it must
// not share bytes with.

// CHECK-LABEL: func.func @kept
// CHECK:         %[[Y:.*]] = memref.alloc() : memref<64x96xf32>
// CHECK:         linalg.matmul
// CHECK-NEXT:    linalg.generic {{.*}} outs(%[[Y]] : {{.*}}) attrs = {plait.epilogue}
// LOWERED-LABEL: func.func @kept
// LOWERED-NOT:     linalg.generic
#id = affine_map<(i, j) -> (i, j)>
func.func @kept(%x: memref<64x32xf32>, %w: memref<32x96xf32>, %p: memref<64x96xf32>) -> memref<64x96xf32> {
  %two = arith.constant 2.0 : f32
  linalg.matmul ins(%x, %w : memref<64x32xf32>, memref<32x96xf32>) outs(%p : memref<64x96xf32>)
  %y = memref.alloc() : memref<64x96xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : memref<64x96xf32>) outs(%y : memref<64x96xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %out: f32):
    %s = arith.mulf %in, %two : f32
    linalg.yield %s : f32
  }
  return %y : memref<64x96xf32>
}

// -----

// h = relu(h w) in the place of h: the product reads all of h first.

// REMARK:      a result may share memory with what the product reads
// CHECK-LABEL: func.func @do_not_fuse_into_operand
// CHECK-NOT:     plait.epilogue
// LOWERED-LABEL: func.func @do_not_fuse_into_operand
// LOWERED:         linalg.generic
#id = affine_map<(i, j) -> (i, j)>
func.func @do_not_fuse_into_operand(%h: memref<64x64xf32>, %w: memref<64x64xf32>, %p: memref<64x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.matmul ins(%h, %w : memref<64x64xf32>, memref<64x64xf32>) outs(%p : memref<64x64xf32>)
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : memref<64x64xf32>) outs(%h : memref<64x64xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %out: f32):
    %s = arith.maximumf %in, %zero : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// REMARK:      a result may share memory with another operand
// CHECK-LABEL: func.func @do_not_fuse_into_residual
// CHECK-NOT:     plait.epilogue
#id = affine_map<(i, j) -> (i, j)>
func.func @do_not_fuse_into_residual(%x: memref<64x64xf32>, %w: memref<64x64xf32>, %p: memref<64x64xf32>, %r: memref<65x64xf32>) {
  %a = memref.subview %r[0, 0] [64, 64] [1, 1] : memref<65x64xf32> to memref<64x64xf32, strided<[64, 1]>>
  %b = memref.subview %r[1, 0] [64, 64] [1, 1] : memref<65x64xf32> to memref<64x64xf32, strided<[64, 1], offset: 64>>
  linalg.matmul ins(%x, %w : memref<64x64xf32>, memref<64x64xf32>) outs(%p : memref<64x64xf32>)
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %a : memref<64x64xf32>, memref<64x64xf32, strided<[64, 1]>>) outs(%b : memref<64x64xf32, strided<[64, 1], offset: 64>>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %res: f32, %out: f32):
    %s = arith.addf %in, %res : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// Something writes in between.

// REMARK:      no product that is lowered to tiles stands right before it
// CHECK-LABEL: func.func @do_not_fuse_behind_write
// CHECK-NOT:     plait.epilogue
#id = affine_map<(i, j) -> (i, j)>
func.func @do_not_fuse_behind_write(%x: memref<64x64xf32>, %w: memref<64x64xf32>, %p: memref<64x64xf32>, %r: memref<64x64xf32>, %y: memref<64x64xf32>) {
  linalg.matmul ins(%x, %w : memref<64x64xf32>, memref<64x64xf32>) outs(%p : memref<64x64xf32>)
  memref.copy %x, %r : memref<64x64xf32> to memref<64x64xf32>
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %r : memref<64x64xf32>, memref<64x64xf32>) outs(%y : memref<64x64xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %res: f32, %out: f32):
    %s = arith.addf %in, %res : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// REMARK:      an operand is not contiguous along rows
// CHECK-LABEL: func.func @do_not_fuse_strided
// CHECK-NOT:     plait.epilogue
#id = affine_map<(i, j) -> (i, j)>
func.func @do_not_fuse_strided(%x: memref<64x64xf32>, %w: memref<64x64xf32>, %p: memref<64x64xf32>, %r: memref<64x64xf32, strided<[128, 2]>>, %y: memref<64x64xf32>) {
  linalg.matmul ins(%x, %w : memref<64x64xf32>, memref<64x64xf32>) outs(%p : memref<64x64xf32>)
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %r : memref<64x64xf32>, memref<64x64xf32, strided<[128, 2]>>) outs(%y : memref<64x64xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %res: f32, %out: f32):
    %s = arith.addf %in, %res : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// A convolution; what is stored behind it is there before its sums begin.

// CHECK-LABEL: func.func @convolution
// CHECK:         %[[Y:.*]] = memref.alloc() : memref<8x32x16x16xf32>
// CHECK:         linalg.broadcast
// CHECK-NEXT:    linalg.conv_2d_nchw_fchw
// CHECK-NEXT:    linalg.generic {{.*}} outs(%[[Y]] : {{.*}}) attrs = {plait.epilogue}
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
func.func @convolution(%x: memref<8x16x18x18xf32>, %w: memref<32x16x3x3xf32>, %b: memref<32xf32>, %p: memref<8x32x16x16xf32>) -> memref<8x32x16x16xf32> {
  %zero = arith.constant 0.0 : f32
  linalg.broadcast ins(%b : memref<32xf32>) outs(%p : memref<8x32x16x16xf32>) dimensions = [0, 2, 3]
  linalg.conv_2d_nchw_fchw ins(%x, %w : memref<8x16x18x18xf32>, memref<32x16x3x3xf32>) outs(%p : memref<8x32x16x16xf32>)
  %y = memref.alloc() : memref<8x32x16x16xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%p : memref<8x32x16x16xf32>) outs(%y : memref<8x32x16x16xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %out: f32):
    %s = arith.maximumf %in, %zero : f32
    linalg.yield %s : f32
  }
  return %y : memref<8x32x16x16xf32>
}

// -----

// The first values are read while the epilogue of other tiles is stored.

// REMARK:      a result may share memory with what the product reads
// CHECK-LABEL: func.func @do_not_fuse_into_first_values
// CHECK-NOT:     plait.epilogue
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
func.func @do_not_fuse_into_first_values(%x: memref<8x16x18x18xf32>, %w: memref<32x16x3x3xf32>, %r: memref<8x32x16x16xf32>, %p: memref<8x32x16x16xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%r : memref<8x32x16x16xf32>) outs(%p : memref<8x32x16x16xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  }
  linalg.conv_2d_nchw_fchw ins(%x, %w : memref<8x16x18x18xf32>, memref<32x16x3x3xf32>) outs(%p : memref<8x32x16x16xf32>)
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%p : memref<8x32x16x16xf32>) outs(%r : memref<8x32x16x16xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %out: f32):
    %s = arith.maximumf %in, %zero : f32
    linalg.yield %s : f32
  }
  return
}
