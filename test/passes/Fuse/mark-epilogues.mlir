// RUN: plait-opt %s -train-mark-epilogues -split-input-file | FileCheck %s

// Bias and ReLU in the place of the sums: there is no other tensor.

// CHECK-LABEL: func.func @bias_relu
// CHECK-SAME:    (%[[X:.*]]: tensor<128x256xf32>, %[[W:.*]]: tensor<256x512xf32>, %[[B:.*]]: tensor<512xf32>)
// CHECK:         %[[P:.*]] = linalg.matmul
// CHECK:         %[[Y:.*]] = linalg.generic
// CHECK-SAME:      ins(%[[B]] : tensor<512xf32>) outs(%[[P]] : tensor<128x512xf32>) attrs = {plait.epilogue}
// CHECK:           arith.addf
// CHECK:           arith.maximumf
// CHECK-NOT:     linalg.generic
// CHECK:         return %[[Y]]
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>
func.func @bias_relu(%x: tensor<128x256xf32>, %w: tensor<256x512xf32>, %b: tensor<512xf32>) -> tensor<128x512xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x512xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<128x512xf32>) -> tensor<128x512xf32>
  %p = linalg.matmul ins(%x, %w : tensor<128x256xf32>, tensor<256x512xf32>) outs(%z : tensor<128x512xf32>) -> tensor<128x512xf32>
  %e1 = tensor.empty() : tensor<128x512xf32>
  %u = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<128x512xf32>, tensor<512xf32>) outs(%e1 : tensor<128x512xf32>) {
  ^bb0(%in: f32, %bias: f32, %out: f32):
    %s = arith.addf %in, %bias : f32
    linalg.yield %s : f32
  } -> tensor<128x512xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%u : tensor<128x512xf32>) outs(%e1 : tensor<128x512xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.maximumf %in, %zero : f32
    linalg.yield %s : f32
  } -> tensor<128x512xf32>
  return %y : tensor<128x512xf32>
}

// -----

// A view divides the rows, and backward wants the sums with the bias, too.

// CHECK-LABEL: func.func @through_view
// CHECK:         %[[P:.*]] = linalg.matmul
// CHECK-NOT:     tensor.expand_shape
// CHECK:         %[[Y:.*]]:2 = linalg.generic
// CHECK-SAME:      iterator_types = ["parallel", "parallel"]
// CHECK-SAME:      outs(%[[P]], %{{.*}} : tensor<128x512xf32>, tensor<128x512xf32>) attrs = {plait.epilogue}
// CHECK:           math.tanh
// CHECK:           linalg.yield
// CHECK-NOT:     linalg.generic
// CHECK-DAG:     tensor.expand_shape %[[Y]]#0
// CHECK-DAG:     tensor.expand_shape %[[Y]]#1
#id = affine_map<(i, j, k) -> (i, j, k)>
#row = affine_map<(i, j, k) -> (k)>
func.func @through_view(%x: tensor<128x256xf32>, %w: tensor<256x512xf32>, %b: tensor<512xf32>) -> (tensor<2x64x512xf32>, tensor<2x64x512xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x512xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<128x512xf32>) -> tensor<128x512xf32>
  %p = linalg.matmul ins(%x, %w : tensor<128x256xf32>, tensor<256x512xf32>) outs(%z : tensor<128x512xf32>) -> tensor<128x512xf32>
  %v = tensor.expand_shape %p [[0, 1], [2]] output_shape [2, 64, 512] : tensor<128x512xf32> into tensor<2x64x512xf32>
  %e1 = tensor.empty() : tensor<2x64x512xf32>
  %u = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v, %b : tensor<2x64x512xf32>, tensor<512xf32>) outs(%e1 : tensor<2x64x512xf32>) {
  ^bb0(%in: f32, %bias: f32, %out: f32):
    %s = arith.addf %in, %bias : f32
    linalg.yield %s : f32
  } -> tensor<2x64x512xf32>
  %e2 = tensor.empty() : tensor<2x64x512xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%u : tensor<2x64x512xf32>) outs(%e2 : tensor<2x64x512xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.tanh %in : f32
    linalg.yield %s : f32
  } -> tensor<2x64x512xf32>
  return %u, %y : tensor<2x64x512xf32>, tensor<2x64x512xf32>
}

// -----

// The gradient of an activation stands behind another product: it moves up.

// CHECK-LABEL: func.func @gradient_moves_up
// CHECK:         %[[DX:.*]] = linalg.matmul
// CHECK:         linalg.generic {{.*}} outs(%[[DX]] : {{.*}}) attrs = {plait.epilogue}
// CHECK:           arith.select
// CHECK:         linalg.matmul
#id = affine_map<(i, j) -> (i, j)>
func.func @gradient_moves_up(%dy: tensor<128x64xf32>, %w: tensor<64x96xf32>, %h: tensor<128x96xf32>, %t: tensor<64x128xf32>) -> (tensor<128x96xf32>, tensor<64x96xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<128x96xf32>) -> tensor<128x96xf32>
  %dx = linalg.matmul ins(%dy, %w : tensor<128x64xf32>, tensor<64x96xf32>) outs(%z : tensor<128x96xf32>) -> tensor<128x96xf32>
  %e1 = tensor.empty() : tensor<64x96xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<64x96xf32>) -> tensor<64x96xf32>
  %dw = linalg.matmul ins(%t, %h : tensor<64x128xf32>, tensor<128x96xf32>) outs(%z1 : tensor<64x96xf32>) -> tensor<64x96xf32>
  %e2 = tensor.empty() : tensor<128x96xf32>
  %g = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%h, %dx : tensor<128x96xf32>, tensor<128x96xf32>) outs(%e2 : tensor<128x96xf32>) {
  ^bb0(%hi: f32, %di: f32, %out: f32):
    %c = arith.cmpf ole, %hi, %zero : f32
    %s = arith.select %c, %zero, %di : f32
    linalg.yield %s : f32
  } -> tensor<128x96xf32>
  return %g, %dw : tensor<128x96xf32>, tensor<64x96xf32>
}

// -----

// What else reads the product keeps it: the epilogue writes elsewhere.

// CHECK-LABEL: func.func @other_reader_behind
// CHECK:         %[[P:.*]] = linalg.matmul
// CHECK:         linalg.generic {{.*}} ins(%[[P]] : {{.*}}) outs(%{{.*}}) attrs = {plait.epilogue}
// CHECK:         linalg.reduce
#id = affine_map<(i, j) -> (i, j)>
func.func @other_reader_behind(%x: tensor<128x64xf32>, %w: tensor<64x96xf32>) -> (tensor<128x96xf32>, tensor<128xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<128x96xf32>) -> tensor<128x96xf32>
  %p = linalg.matmul ins(%x, %w : tensor<128x64xf32>, tensor<64x96xf32>) outs(%z : tensor<128x96xf32>) -> tensor<128x96xf32>
  %e1 = tensor.empty() : tensor<128x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<128x96xf32>) outs(%e1 : tensor<128x96xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.mulf %in, %in : f32
    linalg.yield %s : f32
  } -> tensor<128x96xf32>
  %e2 = tensor.empty() : tensor<128xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<128xf32>) -> tensor<128xf32>
  %r = linalg.reduce { arith.addf } ins(%p : tensor<128x96xf32>) outs(%z2 : tensor<128xf32>) dimensions = [1]
  return %y, %r : tensor<128x96xf32>, tensor<128xf32>
}

// -----

// The first reader needs all of a row.

// CHECK-LABEL: func.func @do_not_fuse_reduction_first
// CHECK-NOT:     plait.epilogue
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#col = affine_map<(i, j) -> (i)>
func.func @do_not_fuse_reduction_first(%x: tensor<128x64xf32>, %w: tensor<64x96xf32>) -> tensor<128x96xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<128x96xf32>) -> tensor<128x96xf32>
  %p = linalg.matmul ins(%x, %w : tensor<128x64xf32>, tensor<64x96xf32>) outs(%z : tensor<128x96xf32>) -> tensor<128x96xf32>
  %e2 = tensor.empty() : tensor<128xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<128xf32>) -> tensor<128xf32>
  %r = linalg.reduce { arith.addf } ins(%p : tensor<128x96xf32>) outs(%z2 : tensor<128xf32>) dimensions = [1]
  %e1 = tensor.empty() : tensor<128x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %r : tensor<128x96xf32>, tensor<128xf32>) outs(%e1 : tensor<128x96xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %q = arith.divf %in, %s : f32
    linalg.yield %q : f32
  } -> tensor<128x96xf32>
  return %y : tensor<128x96xf32>
}

// -----

// CHECK-LABEL: func.func @do_not_fuse_transposed
// CHECK-NOT:     plait.epilogue
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#t = affine_map<(i, j) -> (j, i)>
func.func @do_not_fuse_transposed(%x: tensor<96x64xf32>, %w: tensor<64x96xf32>, %r: tensor<96x96xf32>) -> tensor<96x96xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<96x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<96x96xf32>) -> tensor<96x96xf32>
  %p = linalg.matmul ins(%x, %w : tensor<96x64xf32>, tensor<64x96xf32>) outs(%z : tensor<96x96xf32>) -> tensor<96x96xf32>
  %e1 = tensor.empty() : tensor<96x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #t, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %r : tensor<96x96xf32>, tensor<96x96xf32>) outs(%e1 : tensor<96x96xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %q = arith.addf %in, %s : f32
    linalg.yield %q : f32
  } -> tensor<96x96xf32>
  return %y : tensor<96x96xf32>
}

// -----

// Sums and their transpose: all of the product must be there first.

// CHECK-LABEL: func.func @do_not_fuse_own_transpose
// CHECK-NOT:     plait.epilogue
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#t = affine_map<(i, j) -> (j, i)>
func.func @do_not_fuse_own_transpose(%x: tensor<96x64xf32>, %w: tensor<64x96xf32>) -> tensor<96x96xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<96x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<96x96xf32>) -> tensor<96x96xf32>
  %p = linalg.matmul ins(%x, %w : tensor<96x64xf32>, tensor<64x96xf32>) outs(%z : tensor<96x96xf32>) -> tensor<96x96xf32>
  %e1 = tensor.empty() : tensor<96x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #t, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %p : tensor<96x96xf32>, tensor<96x96xf32>) outs(%e1 : tensor<96x96xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %q = arith.addf %in, %s : f32
    linalg.yield %q : f32
  } -> tensor<96x96xf32>
  return %y : tensor<96x96xf32>
}

// -----

// An update in place, which reads the old value.

// CHECK-LABEL: func.func @do_not_fuse_update
// CHECK-NOT:     plait.epilogue
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @do_not_fuse_update(%x: tensor<96x64xf32>, %dy: tensor<64x96xf32>, %w: tensor<96x96xf32>) -> tensor<96x96xf32> {
  %zero = arith.constant 0.0 : f32
  %rate = arith.constant 0.1 : f32
  %e = tensor.empty() : tensor<96x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<96x96xf32>) -> tensor<96x96xf32>
  %dw = linalg.matmul ins(%x, %dy : tensor<96x64xf32>, tensor<64x96xf32>) outs(%z : tensor<96x96xf32>) -> tensor<96x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%dw : tensor<96x96xf32>) outs(%w : tensor<96x96xf32>) {
  ^bb0(%g: f32, %old: f32):
    %s = arith.mulf %g, %rate : f32
    %n = arith.subf %old, %s : f32
    linalg.yield %n : f32
  } -> tensor<96x96xf32>
  return %y : tensor<96x96xf32>
}

// -----

// A residual that another product makes afterwards; that one takes the sum in.

// CHECK-LABEL: func.func @residual_of_later_product
// CHECK:         %[[A:.*]] = linalg.matmul
// CHECK-NOT:     plait.epilogue
// CHECK:         %[[B:.*]] = linalg.matmul
// CHECK:         linalg.generic {{.*}} ins(%[[A]] : {{.*}}) outs(%[[B]] : {{.*}}) attrs = {plait.epilogue}
#id = affine_map<(i, j) -> (i, j)>
func.func @residual_of_later_product(%x: tensor<96x64xf32>, %w: tensor<64x96xf32>) -> tensor<96x96xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<96x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<96x96xf32>) -> tensor<96x96xf32>
  %a = linalg.matmul ins(%x, %w : tensor<96x64xf32>, tensor<64x96xf32>) outs(%z : tensor<96x96xf32>) -> tensor<96x96xf32>
  %b = linalg.matmul ins(%x, %w : tensor<96x64xf32>, tensor<64x96xf32>) outs(%z : tensor<96x96xf32>) -> tensor<96x96xf32>
  %e1 = tensor.empty() : tensor<96x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%a, %b : tensor<96x96xf32>, tensor<96x96xf32>) outs(%e1 : tensor<96x96xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %q = arith.addf %in, %s : f32
    linalg.yield %q : f32
  } -> tensor<96x96xf32>
  return %y : tensor<96x96xf32>
}

// -----

// A function of the C library, and a type that is not f32.

// CHECK-LABEL: func.func @do_not_fuse_library_call
// CHECK-NOT:     plait.epilogue
// CHECK-LABEL: func.func @do_not_fuse_mask_of_bits
// CHECK-NOT:     plait.epilogue
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @do_not_fuse_library_call(%x: tensor<96x64xf32>, %w: tensor<64x96xf32>) -> tensor<96x96xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<96x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<96x96xf32>) -> tensor<96x96xf32>
  %p = linalg.matmul ins(%x, %w : tensor<96x64xf32>, tensor<64x96xf32>) outs(%z : tensor<96x96xf32>) -> tensor<96x96xf32>
  %e1 = tensor.empty() : tensor<96x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<96x96xf32>) outs(%e1 : tensor<96x96xf32>) {
  ^bb0(%in: f32, %out: f32):
    %q = math.sin %in : f32
    linalg.yield %q : f32
  } -> tensor<96x96xf32>
  return %y : tensor<96x96xf32>
}
func.func @do_not_fuse_mask_of_bits(%x: tensor<96x64xf32>, %w: tensor<64x96xf32>, %m: tensor<96x96xi1>) -> tensor<96x96xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<96x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<96x96xf32>) -> tensor<96x96xf32>
  %p = linalg.matmul ins(%x, %w : tensor<96x64xf32>, tensor<64x96xf32>) outs(%z : tensor<96x96xf32>) -> tensor<96x96xf32>
  %e1 = tensor.empty() : tensor<96x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %p : tensor<96x96xi1>, tensor<96x96xf32>) outs(%e1 : tensor<96x96xf32>) {
  ^bb0(%c: i1, %in: f32, %out: f32):
    %q = arith.select %c, %in, %zero : f32
    linalg.yield %q : f32
  } -> tensor<96x96xf32>
  return %y : tensor<96x96xf32>
}

// -----

// A state that the product reads: its next value belongs into its buffer, and is
// computed there when the product is done.

// CHECK-LABEL: func.func @do_not_fuse_carried
// CHECK-NOT:     plait.epilogue
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @do_not_fuse_carried(%w: tensor<96x96xf32> {train.role = #train.param<"w">}, %h: tensor<96x96xf32> {train.role = #train.state<"w", "h">}) -> (tensor<96x96xf32> {train.role = #train.next<"w">}, tensor<96x96xf32> {train.role = #train.next<"w", "h">}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<96x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<96x96xf32>) -> tensor<96x96xf32>
  %p = linalg.matmul ins(%h, %w : tensor<96x96xf32>, tensor<96x96xf32>) outs(%z : tensor<96x96xf32>) -> tensor<96x96xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<96x96xf32>) outs(%e : tensor<96x96xf32>) {
  ^bb0(%in: f32, %out: f32):
    %q = math.tanh %in : f32
    linalg.yield %q : f32
  } -> tensor<96x96xf32>
  return %w, %y : tensor<96x96xf32>, tensor<96x96xf32>
}

// -----

// A weight in blocks: the sums have them too, and are read as a matrix.

// CHECK-LABEL: func.func @blocked_weight
// CHECK-SAME:    %[[B:[^:]*]]: tensor<64xf32>)
// CHECK:         %[[P:.*]] = linalg.generic
// CHECK:         %[[Y:.*]] = tensor.collapse_shape %[[P]]
// CHECK:         linalg.generic {{.*}} ins(%[[B]] : tensor<64xf32>) outs(%[[Y]] : tensor<8x64xf32>) attrs = {plait.epilogue}
// CHECK-NOT:     linalg.generic
#x = affine_map<(m, o, k, i) -> (m, k)>
#w = affine_map<(m, o, k, i) -> (o, k, i)>
#y = affine_map<(m, o, k, i) -> (m, o, i)>
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>
func.func @blocked_weight(%x: tensor<8x256xf32>, %w: tensor<2x256x32xf32>, %b: tensor<64xf32>) -> tensor<8x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x2x32xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x2x32xf32>) -> tensor<8x2x32xf32>
  %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction", "parallel"]} ins(%x, %w : tensor<8x256xf32>, tensor<2x256x32xf32>) outs(%z : tensor<8x2x32xf32>) {
  ^bb0(%a: f32, %c: f32, %acc: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %acc, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x2x32xf32>
  %v = tensor.collapse_shape %p [[0], [1, 2]] : tensor<8x2x32xf32> into tensor<8x64xf32>
  %e1 = tensor.empty() : tensor<8x64xf32>
  %u = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%v, %b : tensor<8x64xf32>, tensor<64xf32>) outs(%e1 : tensor<8x64xf32>) {
  ^bb0(%in: f32, %bias: f32, %out: f32):
    %s = arith.addf %in, %bias : f32
    linalg.yield %s : f32
  } -> tensor<8x64xf32>
  return %u : tensor<8x64xf32>
}

// -----

// Behind a convolution: the sum with a residual, and ReLU.

// CHECK-LABEL: func.func @convolution
// CHECK-SAME:    (%[[X:.*]]: tensor<8x16x18x18xf32>, %[[W:.*]]: tensor<32x16x3x3xf32>, %[[R:.*]]: tensor<8x32x16x16xf32>)
// CHECK:         %[[P:.*]] = linalg.conv_2d_nchw_fchw
// CHECK:         %[[Y:.*]] = linalg.generic
// CHECK-SAME:      ins(%[[R]] : {{.*}}) outs(%[[P]] : {{.*}}) attrs = {plait.epilogue}
// CHECK:         return %[[Y]]
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
func.func @convolution(%x: tensor<8x16x18x18xf32>, %w: tensor<32x16x3x3xf32>, %r: tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x32x16x16xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  %p = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<8x16x18x18xf32>, tensor<32x16x3x3xf32>) outs(%z : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%p, %r : tensor<8x32x16x16xf32>, tensor<8x32x16x16xf32>) outs(%e : tensor<8x32x16x16xf32>) {
  ^bb0(%in: f32, %res: f32, %out: f32):
    %s = arith.addf %in, %res : f32
    %m = arith.maximumf %s, %zero : f32
    linalg.yield %m : f32
  } -> tensor<8x32x16x16xf32>
  return %y : tensor<8x32x16x16xf32>
}

// -----

// Rows and blocks as one dimension are no matrix of the product.

// CHECK-LABEL: func.func @other_view
// CHECK-NOT:     plait.epilogue
// CHECK:         return
#x = affine_map<(m, o, k, i) -> (m, k)>
#w = affine_map<(m, o, k, i) -> (o, k, i)>
#y = affine_map<(m, o, k, i) -> (m, o, i)>
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>
func.func @other_view(%x: tensor<8x256xf32>, %w: tensor<2x256x32xf32>, %b: tensor<32xf32>) -> tensor<16x32xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x2x32xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x2x32xf32>) -> tensor<8x2x32xf32>
  %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction", "parallel"]} ins(%x, %w : tensor<8x256xf32>, tensor<2x256x32xf32>) outs(%z : tensor<8x2x32xf32>) {
  ^bb0(%a: f32, %c: f32, %acc: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %acc, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x2x32xf32>
  %v = tensor.collapse_shape %p [[0, 1], [2]] : tensor<8x2x32xf32> into tensor<16x32xf32>
  %e1 = tensor.empty() : tensor<16x32xf32>
  %u = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%v, %b : tensor<16x32xf32>, tensor<32xf32>) outs(%e1 : tensor<16x32xf32>) {
  ^bb0(%in: f32, %bias: f32, %out: f32):
    %s = arith.addf %in, %bias : f32
    linalg.yield %s : f32
  } -> tensor<16x32xf32>
  return %u : tensor<16x32xf32>
}

// -----

// Batch-norm reads the whole of a convolution first, for its mean.

// CHECK-LABEL: func.func @do_not_mark_behind_a_reduction
// CHECK-NOT:     plait.epilogue
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
#channel = affine_map<(n, c, y, x) -> (c)>
func.func @do_not_mark_behind_a_reduction(%x: tensor<8x16x18x18xf32>, %w: tensor<32x16x3x3xf32>) -> tensor<8x32x16x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x32x16x16xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  %p = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<8x16x18x18xf32>, tensor<32x16x3x3xf32>) outs(%z : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  %e1 = tensor.empty() : tensor<32xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<32xf32>) -> tensor<32xf32>
  %sum = linalg.generic {indexing_maps = [#id, #channel], iterator_types = ["reduction", "parallel", "reduction", "reduction"]} ins(%p : tensor<8x32x16x16xf32>) outs(%z1 : tensor<32xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.addf %in, %out : f32
    linalg.yield %s : f32
  } -> tensor<32xf32>
  %y = linalg.generic {indexing_maps = [#id, #channel, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%p, %sum : tensor<8x32x16x16xf32>, tensor<32xf32>) outs(%e : tensor<8x32x16x16xf32>) {
  ^bb0(%in: f32, %mean: f32, %out: f32):
    %s = arith.subf %in, %mean : f32
    linalg.yield %s : f32
  } -> tensor<8x32x16x16xf32>
  return %y : tensor<8x32x16x16xf32>
}

// -----

// One image less than the convolution makes.

// CHECK-LABEL: func.func @do_not_mark_a_part
// CHECK-NOT:     plait.epilogue
#id = affine_map<(n, c, y, x) -> (n, c, y, x)>
func.func @do_not_mark_a_part(%x: tensor<8x16x18x18xf32>, %w: tensor<32x16x3x3xf32>) -> tensor<7x32x16x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x32x16x16xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  %p = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<8x16x18x18xf32>, tensor<32x16x3x3xf32>) outs(%z : tensor<8x32x16x16xf32>) -> tensor<8x32x16x16xf32>
  %part = tensor.extract_slice %p[0, 0, 0, 0] [7, 32, 16, 16] [1, 1, 1, 1] : tensor<8x32x16x16xf32> to tensor<7x32x16x16xf32>
  %e1 = tensor.empty() : tensor<7x32x16x16xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%part : tensor<7x32x16x16xf32>) outs(%e1 : tensor<7x32x16x16xf32>) {
  ^bb0(%in: f32, %out: f32):
    %m = arith.maximumf %in, %zero : f32
    linalg.yield %m : f32
  } -> tensor<7x32x16x16xf32>
  return %y : tensor<7x32x16x16xf32>
}

// -----

// A row of what the first op makes is no element of it at the same place.

// CHECK-LABEL: func.func @do_not_join_behind_a_slice
// CHECK:         linalg.generic {{.*}} attrs = {plait.epilogue}
// CHECK:           arith.maximumf
// CHECK:         tensor.extract_slice
// CHECK:         linalg.generic
// CHECK-NOT:       plait.epilogue
// CHECK:           arith.subf
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>
func.func @do_not_join_behind_a_slice(%x: tensor<32x48xf32>, %w: tensor<48x64xf32>) -> tensor<32x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<32x64xf32>) -> tensor<32x64xf32>
  %h = linalg.matmul ins(%x, %w : tensor<32x48xf32>, tensor<48x64xf32>) outs(%f : tensor<32x64xf32>) -> tensor<32x64xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%h : tensor<32x64xf32>) outs(%e : tensor<32x64xf32>) {
  ^bb0(%in: f32, %out: f32):
    %r = arith.maximumf %in, %zero : f32
    linalg.yield %r : f32
  } -> tensor<32x64xf32>
  %v = tensor.extract_slice %a[3, 0] [1, 64] [1, 1] : tensor<32x64xf32> to tensor<64xf32>
  %b = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%a, %v : tensor<32x64xf32>, tensor<64xf32>) outs(%e : tensor<32x64xf32>) {
  ^bb0(%in: f32, %third: f32, %out: f32):
    %r = arith.subf %in, %third : f32
    linalg.yield %r : f32
  } -> tensor<32x64xf32>
  return %b : tensor<32x64xf32>
}
