// Weights that products of few rows read get blocks, with states and gradients;
// what reads them otherwise keeps them row-major.

// RUN: plait-opt %s --split-input-file --train-block-parameters --remarks-filter="train-block-parameters" 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK --input-file=%t.remarks

// Forward, the input's gradient, the weight's, and the update.

// CHECK-LABEL: func.func @layer
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<4x160x32xf32> {train.blocked_dim = 0 : i64, train.role = #train.param<"w">}
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<4x160x32xf32> {train.blocked_dim = 0 : i64, train.role = #train.state<"w", "momentum_buffer">}
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<16x160xf32> {train.role = #train.input<"x">}
// CHECK-SAME:    -> (tensor<16x128xf32> {{.*}}, tensor<16x160xf32> {{.*}}, tensor<4x160x32xf32> {{.*}}, tensor<4x160x32xf32>
// CHECK:         %[[Y:.*]] = linalg.generic {indexing_maps = [#[[XK:.*]], #[[PANEL:.*]], #[[YN:.*]]], iterator_types = ["parallel", "parallel", "reduction", "parallel"]}
// CHECK-SAME:      ins(%[[X]], %[[W]] : tensor<16x160xf32>, tensor<4x160x32xf32>) outs({{.*}} : tensor<16x4x32xf32>)
// CHECK:         tensor.collapse_shape %[[Y]] {{\[\[}}0], [1, 2]]
// CHECK:         %[[DY:.*]] = tensor.expand_shape %{{.*}} {{\[\[}}0], [1, 2]]
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%[[DY]], %[[W]]
// CHECK:         %[[DW:.*]] = linalg.generic {{.*}} outs({{.*}} : tensor<4x160x32xf32>)
// CHECK:         train.sgd ins(%[[DW]] : tensor<4x160x32xf32>) outs(%[[W]], %[[M]], {{.*}} : tensor<4x160x32xf32>, tensor<4x160x32xf32>, tensor<f32>)

// Blocks by rows in, and out.

// CHECK-LABEL: func.func @plait_import_4_160_32_dim0(%{{.*}}: tensor<128x160xf32>) -> tensor<4x160x32xf32> attributes {train.step}
// CHECK:         tensor.expand_shape {{.*}} {{\[\[}}0, 1], [2]] output_shape [4, 32, 160]
// CHECK-LABEL: func.func @plait_export_4_160_32_dim0(%{{.*}}: tensor<4x160x32xf32>) -> tensor<128x160xf32> attributes {train.step}

// REMARK: parameter "w" has blocks of 32 along dimension 0

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @layer(%w: tensor<128x160xf32> {train.role = #train.param<"w">},
                 %b: tensor<128x160xf32> {train.role = #train.state<"w", "momentum_buffer">},
                 %i: tensor<f32> {train.role = #train.state<"w", "initialized">},
                 %x: tensor<16x160xf32> {train.role = #train.input<"x">},
                 %dy: tensor<16x128xf32> {train.role = #train.input<"dy">})
    -> (tensor<16x128xf32> {train.role = #train.output<"y">},
        tensor<16x160xf32> {train.role = #train.output<"dx">},
        tensor<128x160xf32> {train.role = #train.next<"w">},
        tensor<128x160xf32> {train.role = #train.next<"w", "momentum_buffer">},
        tensor<f32> {train.role = #train.next<"w", "initialized">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %ey = tensor.empty() : tensor<16x128xf32>
  %zy = linalg.fill ins(%zero : f32) outs(%ey : tensor<16x128xf32>) -> tensor<16x128xf32>
  %y = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %w : tensor<16x160xf32>, tensor<128x160xf32>) outs(%zy : tensor<16x128xf32>) -> tensor<16x128xf32>
  %ex = tensor.empty() : tensor<16x160xf32>
  %zx = linalg.fill ins(%zero : f32) outs(%ex : tensor<16x160xf32>) -> tensor<16x160xf32>
  %dx = linalg.matmul ins(%dy, %w : tensor<16x128xf32>, tensor<128x160xf32>) outs(%zx : tensor<16x160xf32>) -> tensor<16x160xf32>
  %ew = tensor.empty() : tensor<128x160xf32>
  %zw = linalg.fill ins(%zero : f32) outs(%ew : tensor<128x160xf32>) -> tensor<128x160xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, #mn]
      ins(%dy, %x : tensor<16x128xf32>, tensor<16x160xf32>) outs(%zw : tensor<128x160xf32>) -> tensor<128x160xf32>
  %w1, %b1, %i1 = train.sgd ins(%dw : tensor<128x160xf32>)
      outs(%w, %b, %i : tensor<128x160xf32>, tensor<128x160xf32>, tensor<f32>) {lr = 0.1 : f64, momentum = 0.9 : f64}
  return %y, %dx, %w1, %b1, %i1 : tensor<16x128xf32>, tensor<16x160xf32>, tensor<128x160xf32>, tensor<128x160xf32>, tensor<f32>
}

// -----

// Outputs that no block divides: blocks along the inputs. An elementwise op on
// the gradient and a general update follow, and so does a function that judges.

// CHECK-LABEL: func.func @other_dimension
// CHECK-SAME:    tensor<5x120x32xf32> {train.blocked_dim = 1 : i64
// CHECK:         linalg.generic {indexing_maps = [#[[ID3:.*]], #[[ID3]]], iterator_types = ["parallel", "parallel", "parallel"]}
// CHECK:         train.update "plain"
// CHECK:           linalg.map ins({{.*}} : tensor<5x120x32xf32>, tensor<5x120x32xf32>)
// CHECK-LABEL: func.func @judge
// CHECK-SAME:    tensor<5x120x32xf32> {train.blocked_dim = 1 : i64

// REMARK: parameter "w" has blocks of 32 along dimension 1

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(i, j) -> (i, j)>
func.func @other_dimension(%w: tensor<120x160xf32> {train.role = #train.param<"w">},
                           %x: tensor<16x160xf32> {train.role = #train.input<"x">})
    -> (tensor<120x160xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %ey = tensor.empty() : tensor<16x120xf32>
  %zy = linalg.fill ins(%zero : f32) outs(%ey : tensor<16x120xf32>) -> tensor<16x120xf32>
  %y = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %w : tensor<16x160xf32>, tensor<120x160xf32>) outs(%zy : tensor<16x120xf32>) -> tensor<16x120xf32>
  %ew = tensor.empty() : tensor<120x160xf32>
  %zw = linalg.fill ins(%zero : f32) outs(%ew : tensor<120x160xf32>) -> tensor<120x160xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, #mn]
      ins(%y, %x : tensor<16x120xf32>, tensor<16x160xf32>) outs(%zw : tensor<120x160xf32>) -> tensor<120x160xf32>
  %half = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%dw : tensor<120x160xf32>) outs(%ew : tensor<120x160xf32>) {
    ^bb0(%g: f32, %o: f32):
      %c = arith.constant 0.5 : f32
      %h = arith.mulf %g, %c : f32
      linalg.yield %h : f32
  } -> tensor<120x160xf32>
  %w1 = train.update "plain" ins(%half : tensor<120x160xf32>) outs(%w : tensor<120x160xf32>) {
  ^bb0(%g: tensor<120x160xf32>, %p: tensor<120x160xf32>):
    %n = linalg.map ins(%g, %p : tensor<120x160xf32>, tensor<120x160xf32>) outs(%p : tensor<120x160xf32>)
      (%gi: f32, %pi: f32, %o: f32) {
        %d = arith.subf %pi, %gi : f32
        linalg.yield %d : f32
      }
    train.yield %n : tensor<120x160xf32>
  } : tensor<120x160xf32>
  return %w1 : tensor<120x160xf32>
}
func.func @judge(%w: tensor<120x160xf32> {train.role = #train.param<"w">},
                 %x: tensor<16x160xf32> {train.role = #train.input<"x">}) -> tensor<16x120xf32> attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %ey = tensor.empty() : tensor<16x120xf32>
  %zy = linalg.fill ins(%zero : f32) outs(%ey : tensor<16x120xf32>) -> tensor<16x120xf32>
  %y = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %w : tensor<16x160xf32>, tensor<120x160xf32>) outs(%zy : tensor<16x120xf32>) -> tensor<16x120xf32>
  return %y : tensor<16x120xf32>
}

// -----

// REMARK: parameter "normed" stays row-major: it is read by an op that is neither a product nor elementwise
// REMARK: parameter "given" stays row-major: it is also an output of the step
// REMARK: parameter "ragged" stays row-major: it has no dimension that is a multiple of 32
// REMARK: parameter "many" stays row-major: it is read by no product that would win by it
// REMARK: parameter "vector" stays row-major: it is no matrix of f32 of static shape
// REMARK: parameter "gram" stays row-major: it is multiplied by itself, or makes its own gradient
// REMARK: parameter "mixed" stays row-major: it is combined with a tensor that the step is given

// CHECK-LABEL: func.func @row_major
// CHECK-NOT:     train.blocked_dim
// CHECK-NOT:   plait_import

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(i, j) -> (i, j)>
#none = affine_map<(i, j) -> ()>
func.func @row_major(%normed: tensor<128x160xf32> {train.role = #train.param<"normed">},
                     %given: tensor<128x160xf32> {train.role = #train.param<"given">},
                     %ragged: tensor<130x170xf32> {train.role = #train.param<"ragged">},
                     %many: tensor<128x160xf32> {train.role = #train.param<"many">},
                     %vector: tensor<32768xf32> {train.role = #train.param<"vector">},
                     %gram: tensor<160x160xf32> {train.role = #train.param<"gram">},
                     %mixed: tensor<128x160xf32> {train.role = #train.param<"mixed">},
                     %x: tensor<16x160xf32> {train.role = #train.input<"x">},
                     %r: tensor<16x170xf32> {train.role = #train.input<"r">},
                     %l: tensor<1024x160xf32> {train.role = #train.input<"l">},
                     %mask: tensor<128x160xf32> {train.role = #train.input<"mask">},
                     %z0: tensor<f32>, %z1: tensor<16x128xf32>, %z2: tensor<16x130xf32>,
                     %z3: tensor<1024x128xf32>, %z4: tensor<160x160xf32>)
    -> (tensor<f32>, tensor<16x128xf32>, tensor<16x128xf32>, tensor<128x160xf32>, tensor<16x130xf32>,
        tensor<1024x128xf32>, tensor<160x160xf32>, tensor<16x128xf32>) attributes {train.step} {
  %sum = linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction", "reduction"]}
      ins(%normed : tensor<128x160xf32>) outs(%z0 : tensor<f32>) {
    ^bb0(%a: f32, %o: f32):
      %s = arith.addf %a, %o : f32
      linalg.yield %s : f32
  } -> tensor<f32>
  %y0 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %normed : tensor<16x160xf32>, tensor<128x160xf32>) outs(%z1 : tensor<16x128xf32>) -> tensor<16x128xf32>
  %y1 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %given : tensor<16x160xf32>, tensor<128x160xf32>) outs(%z1 : tensor<16x128xf32>) -> tensor<16x128xf32>
  %y2 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%r, %ragged : tensor<16x170xf32>, tensor<130x170xf32>) outs(%z2 : tensor<16x130xf32>) -> tensor<16x130xf32>
  %y3 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%l, %many : tensor<1024x160xf32>, tensor<128x160xf32>) outs(%z3 : tensor<1024x128xf32>) -> tensor<1024x128xf32>
  %y4 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%gram, %gram : tensor<160x160xf32>, tensor<160x160xf32>) outs(%z4 : tensor<160x160xf32>) -> tensor<160x160xf32>
  %masked = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%mixed, %mask : tensor<128x160xf32>, tensor<128x160xf32>) outs(%mixed : tensor<128x160xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %p = arith.mulf %a, %b : f32
      linalg.yield %p : f32
  } -> tensor<128x160xf32>
  %y5 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %masked : tensor<16x160xf32>, tensor<128x160xf32>) outs(%z1 : tensor<16x128xf32>) -> tensor<16x128xf32>
  return %sum, %y0, %y1, %given, %y2, %y3, %y4, %y5
      : tensor<f32>, tensor<16x128xf32>, tensor<16x128xf32>, tensor<128x160xf32>, tensor<16x130xf32>,
        tensor<1024x128xf32>, tensor<160x160xf32>, tensor<16x128xf32>
}

// -----

// REMARK: parameter "sliced" stays row-major: it is read or made by 'tensor.extract_slice'
// REMARK: parameter "batched" stays row-major: it is read or made by a product of other loops than m, n and k
// REMARK: parameter "replaced" stays row-major: it is replaced by something that has no update
// REMARK: parameter "differs" stays row-major: it has another shape in another function

// CHECK-LABEL: func.func @row_major_too
// CHECK-NOT:     train.blocked_dim

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @row_major_too(%sliced: tensor<128x160xf32> {train.role = #train.param<"sliced">},
                         %batched: tensor<128x160xf32> {train.role = #train.param<"batched">},
                         %replaced: tensor<128x160xf32> {train.role = #train.param<"replaced">},
                         %differs: tensor<128x160xf32> {train.role = #train.param<"differs">},
                         %x: tensor<16x160xf32>, %x3: tensor<2x16x160xf32>, %z: tensor<16x128xf32>,
                         %z3: tensor<2x16x128xf32>, %next: tensor<128x160xf32>)
    -> (tensor<1x160xf32>, tensor<2x16x128xf32>, tensor<16x128xf32>, tensor<16x128xf32>,
        tensor<128x160xf32> {train.role = #train.next<"replaced">}) attributes {train.step} {
  %row = tensor.extract_slice %sliced[3, 0] [1, 160] [1, 1] : tensor<128x160xf32> to tensor<1x160xf32>
  %y3 = linalg.generic {indexing_maps = [affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> (n, k)>,
                                         affine_map<(b, m, n, k) -> (b, m, n)>],
                        iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x3, %batched : tensor<2x16x160xf32>, tensor<128x160xf32>) outs(%z3 : tensor<2x16x128xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %p = arith.mulf %a, %b : f32
      %s = arith.addf %o, %p : f32
      linalg.yield %s : f32
  } -> tensor<2x16x128xf32>
  %y0 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %replaced : tensor<16x160xf32>, tensor<128x160xf32>) outs(%z : tensor<16x128xf32>) -> tensor<16x128xf32>
  %y1 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %differs : tensor<16x160xf32>, tensor<128x160xf32>) outs(%z : tensor<16x128xf32>) -> tensor<16x128xf32>
  return %row, %y3, %y0, %y1, %next : tensor<1x160xf32>, tensor<2x16x128xf32>, tensor<16x128xf32>, tensor<16x128xf32>, tensor<128x160xf32>
}
func.func @judge_other(%differs: tensor<64x160xf32> {train.role = #train.param<"differs">}) -> tensor<64x160xf32> attributes {train.step} {
  return %differs : tensor<64x160xf32>
}

// -----

// Updates that a layout cannot go through.

// REMARK: parameter "whole" stays row-major: it has an update that reads the whole tensor
// REMARK: parameter "constant" stays row-major: it has an update with a constant tensor

// CHECK-LABEL: func.func @row_major_updates
// CHECK-NOT:     train.blocked_dim

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(i, j) -> (i, j)>
#none = affine_map<(i, j) -> ()>
func.func @row_major_updates(%whole: tensor<128x160xf32> {train.role = #train.param<"whole">},
                             %constant: tensor<128x160xf32> {train.role = #train.param<"constant">},
                             %x: tensor<16x160xf32>, %z: tensor<16x128xf32>, %g: tensor<128x160xf32>)
    -> (tensor<16x128xf32>, tensor<16x128xf32>,
        tensor<128x160xf32> {train.role = #train.next<"whole">},
        tensor<128x160xf32> {train.role = #train.next<"constant">}) attributes {train.step} {
  %y0 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %whole : tensor<16x160xf32>, tensor<128x160xf32>) outs(%z : tensor<16x128xf32>) -> tensor<16x128xf32>
  %y1 = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %constant : tensor<16x160xf32>, tensor<128x160xf32>) outs(%z : tensor<16x128xf32>) -> tensor<16x128xf32>
  %w = train.update "normed" ins(%g : tensor<128x160xf32>) outs(%whole : tensor<128x160xf32>) {
  ^bb0(%gt: tensor<128x160xf32>, %wt: tensor<128x160xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<f32>
    %z0 = linalg.fill ins(%zero : f32) outs(%e : tensor<f32>) -> tensor<f32>
    %sum = linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction", "reduction"]} ins(%gt : tensor<128x160xf32>) outs(%z0 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %a = arith.addf %in, %out : f32
      linalg.yield %a : f32
    } -> tensor<f32>
    %n = linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel", "parallel"]} ins(%gt, %sum : tensor<128x160xf32>, tensor<f32>) outs(%wt : tensor<128x160xf32>) {
    ^bb0(%in: f32, %s: f32, %out: f32):
      %q = arith.divf %in, %s : f32
      %d = arith.subf %out, %q : f32
      linalg.yield %d : f32
    } -> tensor<128x160xf32>
    train.yield %n : tensor<128x160xf32>
  } : tensor<128x160xf32>
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<128x160xf32>
  %ones = linalg.fill ins(%one : f32) outs(%e : tensor<128x160xf32>) -> tensor<128x160xf32>
  %c = train.sgd ins(%ones : tensor<128x160xf32>) outs(%constant : tensor<128x160xf32>) {lr = 0.1 : f64}
  return %y0, %y1, %w, %c : tensor<16x128xf32>, tensor<16x128xf32>, tensor<128x160xf32>, tensor<128x160xf32>
}
