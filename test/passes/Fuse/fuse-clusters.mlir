// RUN: plait-opt %s -split-input-file -verify-diagnostics -train-fuse-clusters=panel-bytes=1024 -canonicalize | FileCheck %s
// RUN: plait-opt %s -split-input-file -verify-diagnostics -train-fuse-clusters=panel-bytes=1048576 -canonicalize | FileCheck %s --check-prefix=LARGE

// Backward: panels of 16 rows, 1024 bytes each, of the gradient are computed
// and applied. Bias corrections, of rank 0, stay before the loop. One root in
// f64 is theirs; the update has one of its own and it is not computed twice.

// CHECK-LABEL: func.func @backward
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<64x16xf32>, %[[M:[^ ]*]]: tensor<64x16xf32>, %[[V:[^ ]*]]: tensor<64x16xf32>, %[[T:[^ ]*]]: tensor<f32>
// CHECK-NOT:     linalg.matmul
// CHECK:         math.sqrt %{{.*}} : f64
// CHECK:         scf.forall (%[[I:.*]]) = (0) to (64) step (16) shared_outs(%[[OW:.*]] = %[[W]], %[[OM:.*]] = %[[M]], %[[OV:.*]] = %[[V]])
// CHECK:           %[[Z:.*]] = linalg.fill {{.*}} -> tensor<16x16xf32>
// CHECK:           %[[G:.*]] = linalg.matmul {{.*}} outs(%[[Z]] : tensor<16x16xf32>) -> tensor<16x16xf32>
// CHECK:           linalg.generic {{.*}} ins(%[[G]],
// CHECK-COUNT-1:     math.sqrt %{{.*}} : f32
// CHECK-NOT:       math.sqrt
// CHECK:           scf.forall.in_parallel
// CHECK:             tensor.parallel_insert_slice %{{.*}} into %[[OW]][%[[I]], 0] [16, 16]
// CHECK:             tensor.parallel_insert_slice %{{.*}} into %[[OM]]
// CHECK:             tensor.parallel_insert_slice %{{.*}} into %[[OV]]
// CHECK-NOT:     train.
// CHECK-NOT:     math.sqrt
// CHECK:         return

// Two panels at least, so that two threads have work.
// LARGE-LABEL: func.func @backward
// LARGE:         scf.forall (%{{.*}}) = (0) to (64) step (32)
func.func @backward(%w: tensor<64x16xf32>, %m: tensor<64x16xf32>, %v: tensor<64x16xf32>, %t: tensor<f32>,
                    %x: tensor<64x8xf32>, %dy: tensor<8x16xf32>)
    -> (tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>) {
  %r:4 = train.cluster <backward> ins(%x, %dy, %w, %m, %v, %t : tensor<64x8xf32>, tensor<8x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>) {
  ^bb0(%a: tensor<64x8xf32>, %b: tensor<8x16xf32>, %p: tensor<64x16xf32>, %q: tensor<64x16xf32>, %r: tensor<64x16xf32>, %s: tensor<f32>):
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64x16xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
    %g = linalg.matmul ins(%a, %b : tensor<64x8xf32>, tensor<8x16xf32>) outs(%f : tensor<64x16xf32>) -> tensor<64x16xf32>
    %n:4 = train.adam ins(%g : tensor<64x16xf32>) outs(%p, %q, %r, %s : tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>) {lr = 0.1 : f64}
    train.yield %n#0, %n#1, %n#2, %n#3 : tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>
  } : tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>
  return %r#0, %r#1, %r#2, %r#3 : tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>
}

// -----

// A product of 16 steps copies its lanes for each panel: the panel is four times
// as large, but there are 32 of them where that is too large.

// CHECK-LABEL: func.func @many_steps
// CHECK:         scf.forall (%{{.*}}) = (0) to (2048) step (64)
// CHECK-LABEL: func.func @many_steps_of_a_small_parameter
// CHECK:         scf.forall (%{{.*}}) = (0) to (512) step (16)
func.func @many_steps(%w: tensor<2048x16xf32>, %x: tensor<2048x16xf32>, %dy: tensor<16x16xf32>) -> tensor<2048x16xf32> {
  %r = train.cluster <backward> ins(%x, %dy, %w : tensor<2048x16xf32>, tensor<16x16xf32>, tensor<2048x16xf32>) {
  ^bb0(%a: tensor<2048x16xf32>, %b: tensor<16x16xf32>, %p: tensor<2048x16xf32>):
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<2048x16xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<2048x16xf32>) -> tensor<2048x16xf32>
    %g = linalg.matmul ins(%a, %b : tensor<2048x16xf32>, tensor<16x16xf32>) outs(%f : tensor<2048x16xf32>) -> tensor<2048x16xf32>
    %n = train.sgd ins(%g : tensor<2048x16xf32>) outs(%p : tensor<2048x16xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<2048x16xf32>
  } : tensor<2048x16xf32>
  return %r : tensor<2048x16xf32>
}

func.func @many_steps_of_a_small_parameter(%w: tensor<512x16xf32>, %x: tensor<512x16xf32>, %dy: tensor<16x16xf32>) -> tensor<512x16xf32> {
  %r = train.cluster <backward> ins(%x, %dy, %w : tensor<512x16xf32>, tensor<16x16xf32>, tensor<512x16xf32>) {
  ^bb0(%a: tensor<512x16xf32>, %b: tensor<16x16xf32>, %p: tensor<512x16xf32>):
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<512x16xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<512x16xf32>) -> tensor<512x16xf32>
    %g = linalg.matmul ins(%a, %b : tensor<512x16xf32>, tensor<16x16xf32>) outs(%f : tensor<512x16xf32>) -> tensor<512x16xf32>
    %n = train.sgd ins(%g : tensor<512x16xf32>) outs(%p : tensor<512x16xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<512x16xf32>
  } : tensor<512x16xf32>
  return %r : tensor<512x16xf32>
}

// -----

// Forward: a panel of the parameter is updated once, used, and yielded. Fusing
// it without yielding would compute it twice, with the right numbers.

// CHECK-LABEL: func.func @forward
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<64x16xf32>, %[[S:[^ ]*]]: tensor<64x16xf32>
// CHECK-NOT:     math.sqrt
// CHECK:         scf.forall (%[[I:.*]]) = (0) to (64) step (16) shared_outs(%[[OY:.*]] = %{{.*}}, %[[OW:.*]] = %[[W]], %[[OS:.*]] = %[[S]])
// CHECK:           %[[N:.*]]:2 = linalg.generic
// CHECK-COUNT-1:     math.sqrt
// CHECK-NOT:       math.sqrt
// CHECK:           linalg.fill {{.*}} -> tensor<8x16xf32>
// CHECK:           linalg.matmul {{.*}} ins(%{{.*}}, %[[N]]#0 :
// CHECK:           scf.forall.in_parallel
// CHECK:             into %[[OY]][0, %[[I]]] [8, 16]
// CHECK:             %[[N]]#0 into %[[OW]][%[[I]], 0] [16, 16]
// CHECK:             %[[N]]#1 into %[[OS]]
// CHECK-NOT:     math.sqrt
// CHECK:         return
func.func @forward(%w: tensor<64x16xf32>, %sum: tensor<64x16xf32>, %t: tensor<f32>, %g: tensor<64x16xf32>, %x: tensor<8x16xf32>)
    -> (tensor<8x64xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>) {
  %r:4 = train.cluster <forward> ins(%g, %w, %sum, %t, %x : tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>, tensor<8x16xf32>) {
  ^bb0(%gg: tensor<64x16xf32>, %p: tensor<64x16xf32>, %q: tensor<64x16xf32>, %s: tensor<f32>, %xx: tensor<8x16xf32>):
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<8x64xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<8x64xf32>) -> tensor<8x64xf32>
    %n:3 = train.adagrad ins(%gg : tensor<64x16xf32>) outs(%p, %q, %s : tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>) {lr = 0.1 : f64}
    %y = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%xx, %n#0 : tensor<8x16xf32>, tensor<64x16xf32>) outs(%f : tensor<8x64xf32>) -> tensor<8x64xf32>
    train.yield %n#0, %n#1, %n#2, %y : tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>, tensor<8x64xf32>
  } : tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>, tensor<8x64xf32>
  return %r#3, %r#0, %r#1, %r#2 : tensor<8x64xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<f32>
}

// -----

// Forward, with what makes the gradient: a panel of it is made once, applied, and
// not stored.

// CHECK-LABEL: func.func @forward_with_gradient
// CHECK-SAME:    %[[W:[^ ]*]]: tensor<64x16xf32>
// CHECK:         scf.forall (%[[I:.*]]) = (0) to (64) step (16) shared_outs(%[[OY:.*]] = %{{.*}}, %[[OW:.*]] = %[[W]])
// CHECK:           %[[G:.*]] = linalg.generic {{.*}}ins(%{{.*}}, %{{.*}} : tensor<2x16xf32>, tensor<2x16xf32>) outs(%{{.*}} : tensor<16x16xf32>)
// CHECK:           %[[N:.*]] = linalg.generic {{.*}}ins(%[[G]]
// CHECK:           linalg.matmul {{.*}} ins(%{{.*}}, %[[N]] :
// CHECK:           scf.forall.in_parallel
// CHECK-NEXT:        into %[[OY]][0, %[[I]]] [8, 16]
// CHECK-NEXT:        %[[N]] into %[[OW]][%[[I]], 0] [16, 16]
// CHECK-NEXT:      }
// CHECK:         return
func.func @forward_with_gradient(%w: tensor<64x16xf32>, %dz: tensor<2x64xf32>, %h: tensor<2x16xf32>, %x: tensor<8x16xf32>)
    -> (tensor<8x64xf32>, tensor<64x16xf32>) {
  %r:2 = train.cluster <forward> ins(%dz, %h, %w, %x : tensor<2x64xf32>, tensor<2x16xf32>, tensor<64x16xf32>, tensor<8x16xf32>) {
  ^bb0(%d: tensor<2x64xf32>, %hh: tensor<2x16xf32>, %p: tensor<64x16xf32>, %xx: tensor<8x16xf32>):
    %c0 = arith.constant 0.0 : f32
    %ge = tensor.empty() : tensor<64x16xf32>
    %gz = linalg.fill ins(%c0 : f32) outs(%ge : tensor<64x16xf32>) -> tensor<64x16xf32>
    %g = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%d, %hh : tensor<2x64xf32>, tensor<2x16xf32>) outs(%gz : tensor<64x16xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %m = arith.mulf %a, %b : f32
      %s = arith.addf %c, %m : f32
      linalg.yield %s : f32
    } -> tensor<64x16xf32>
    %n = train.sgd ins(%g : tensor<64x16xf32>) outs(%p : tensor<64x16xf32>) {lr = 0.1 : f64}
    %e = tensor.empty() : tensor<8x64xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<8x64xf32>) -> tensor<8x64xf32>
    %y = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%xx, %n : tensor<8x16xf32>, tensor<64x16xf32>) outs(%f : tensor<8x64xf32>) -> tensor<8x64xf32>
    train.yield %n, %y : tensor<64x16xf32>, tensor<8x64xf32>
  } : tensor<64x16xf32>, tensor<8x64xf32>
  return %r#1, %r#0 : tensor<8x64xf32>, tensor<64x16xf32>
}

// -----

// 60 rows: 16 do not divide, 15 do. Every panel has the same shape.

// CHECK-LABEL: func.func @panels_divide
// CHECK:         scf.forall (%{{.*}}) = (0) to (60) step (15)
func.func @panels_divide(%w: tensor<60x16xf32>, %x: tensor<60x16xf32>) -> tensor<60x16xf32> {
  %r = train.cluster <backward> ins(%x, %w : tensor<60x16xf32>, tensor<60x16xf32>) {
  ^bb0(%a: tensor<60x16xf32>, %p: tensor<60x16xf32>):
    %e = tensor.empty() : tensor<60x16xf32>
    %g = linalg.exp ins(%a : tensor<60x16xf32>) outs(%e : tensor<60x16xf32>) -> tensor<60x16xf32>
    %n = train.sgd ins(%g : tensor<60x16xf32>) outs(%p : tensor<60x16xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<60x16xf32>
  } : tensor<60x16xf32>
  return %r : tensor<60x16xf32>
}

// -----

// An update outside of clusters is decomposed, and not tiled.

// CHECK-LABEL: func.func @alone
// CHECK-NOT:     scf.forall
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<64x16xf32>)
// CHECK-NOT:     train.
// CHECK:         return
func.func @alone(%w: tensor<64x16xf32>, %g: tensor<64x16xf32>, %lr: tensor<f32>) -> tensor<64x16xf32> {
  %r = train.sgd ins(%g, %lr : tensor<64x16xf32>, tensor<f32>) outs(%w : tensor<64x16xf32>)
  return %r : tensor<64x16xf32>
}

// -----

func.func @do_not_fuse_dynamic_shape(%w: tensor<?x16xf32>, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error@+1 {{has a parameter of dynamic shape 'tensor<?x16xf32>'}}
  %r = train.cluster <backward> ins(%x, %w : tensor<?x16xf32>, tensor<?x16xf32>) {
  ^bb0(%a: tensor<?x16xf32>, %p: tensor<?x16xf32>):
    %n = train.sgd ins(%a : tensor<?x16xf32>) outs(%p : tensor<?x16xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<?x16xf32>
  } : tensor<?x16xf32>
  return %r : tensor<?x16xf32>
}

// -----

func.func @do_not_fuse_no_reader(%w: tensor<4xf32>, %g: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{has no product that reads the new parameter}}
  %r = train.cluster <forward> ins(%g, %w : tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%a: tensor<4xf32>, %p: tensor<4xf32>):
    %n = train.sgd ins(%a : tensor<4xf32>) outs(%p : tensor<4xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<4xf32>
  } : tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

func.func @do_not_fuse_everything_contracted(%w: tensor<4xf32>, %g: tensor<4xf32>, %z: tensor<f32>) -> (tensor<4xf32>, tensor<f32>) {
  // expected-error@+1 {{has a product that contracts every dimension of it}}
  %r:2 = train.cluster <forward> ins(%g, %w, %z : tensor<4xf32>, tensor<4xf32>, tensor<f32>) {
  ^bb0(%a: tensor<4xf32>, %p: tensor<4xf32>, %q: tensor<f32>):
    %n = train.sgd ins(%a : tensor<4xf32>) outs(%p : tensor<4xf32>) {lr = 0.1 : f64}
    %y = linalg.dot ins(%a, %n : tensor<4xf32>, tensor<4xf32>) outs(%q : tensor<f32>) -> tensor<f32>
    train.yield %n, %y : tensor<4xf32>, tensor<f32>
  } : tensor<4xf32>, tensor<f32>
  return %r#0, %r#1 : tensor<4xf32>, tensor<f32>
}

// -----

// One row: panels are parts of it. A row that is larger than a panel, too.

// CHECK-LABEL: func.func @one_row
// CHECK:         scf.forall (%{{.*}}) = (0) to (4096) step (256)
// CHECK:           linalg.matmul {{.*}} -> tensor<1x256xf32>
// CHECK-LABEL: func.func @wide_rows
// CHECK:         scf.forall (%{{.*}}, %{{.*}}) = (0, 0) to (8, 4096) step (1, 256)
// CHECK:           linalg.matmul {{.*}} -> tensor<1x256xf32>
func.func @one_row(%w: tensor<1x4096xf32>, %x: tensor<1x2xf32>, %dy: tensor<2x4096xf32>) -> tensor<1x4096xf32> {
  %r = train.cluster <backward> ins(%x, %dy, %w : tensor<1x2xf32>, tensor<2x4096xf32>, tensor<1x4096xf32>) {
  ^bb0(%a: tensor<1x2xf32>, %b: tensor<2x4096xf32>, %p: tensor<1x4096xf32>):
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<1x4096xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<1x4096xf32>) -> tensor<1x4096xf32>
    %g = linalg.matmul ins(%a, %b : tensor<1x2xf32>, tensor<2x4096xf32>) outs(%f : tensor<1x4096xf32>) -> tensor<1x4096xf32>
    %n = train.sgd ins(%g : tensor<1x4096xf32>) outs(%p : tensor<1x4096xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<1x4096xf32>
  } : tensor<1x4096xf32>
  return %r : tensor<1x4096xf32>
}
func.func @wide_rows(%w: tensor<8x4096xf32>, %x: tensor<8x2xf32>, %dy: tensor<2x4096xf32>) -> tensor<8x4096xf32> {
  %r = train.cluster <backward> ins(%x, %dy, %w : tensor<8x2xf32>, tensor<2x4096xf32>, tensor<8x4096xf32>) {
  ^bb0(%a: tensor<8x2xf32>, %b: tensor<2x4096xf32>, %p: tensor<8x4096xf32>):
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<8x4096xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<8x4096xf32>) -> tensor<8x4096xf32>
    %g = linalg.matmul ins(%a, %b : tensor<8x2xf32>, tensor<2x4096xf32>) outs(%f : tensor<8x4096xf32>) -> tensor<8x4096xf32>
    %n = train.sgd ins(%g : tensor<8x4096xf32>) outs(%p : tensor<8x4096xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<8x4096xf32>
  } : tensor<8x4096xf32>
  return %r : tensor<8x4096xf32>
}

// -----

// An update that is written as two loops, one of which reads the other, and the
// gradient in both: one loop, so that the gradient is computed once.

// CHECK-LABEL: func.func @merge_loops_of_an_update
// CHECK:         scf.forall
// CHECK:           linalg.matmul
// CHECK-NOT:       linalg.matmul
// CHECK:           %{{.*}}:2 = linalg.generic {{.*}} ins(%{{.*}} : tensor<16x16xf32>) outs(%{{.*}}, %{{.*}} : tensor<16x16xf32>, tensor<16x16xf32>)
// CHECK-NEXT:      ^bb0(%[[G:.*]]: f32, %[[W:.*]]: f32, %[[M:.*]]: f32):
// CHECK-NEXT:        %[[M1:.*]] = arith.addf %[[M]], %[[G]]
// CHECK-NEXT:        %[[D:.*]] = arith.mulf %[[M1]], %[[G]]
// CHECK-NEXT:        %[[W1:.*]] = arith.subf %[[W]], %[[D]]
// CHECK-NEXT:        linalg.yield %[[W1]], %[[M1]]
// CHECK-NOT:       linalg.generic
// CHECK-NOT:     linalg.
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @merge_loops_of_an_update(%w: tensor<64x16xf32>, %m: tensor<64x16xf32>, %x: tensor<64x8xf32>, %dy: tensor<8x16xf32>)
    -> (tensor<64x16xf32>, tensor<64x16xf32>) {
  %r:2 = train.cluster <backward> ins(%x, %dy, %w, %m : tensor<64x8xf32>, tensor<8x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>) {
  ^bb0(%a: tensor<64x8xf32>, %b: tensor<8x16xf32>, %p: tensor<64x16xf32>, %q: tensor<64x16xf32>):
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64x16xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
    %g = linalg.matmul ins(%a, %b : tensor<64x8xf32>, tensor<8x16xf32>) outs(%f : tensor<64x16xf32>) -> tensor<64x16xf32>
    %n:2 = train.update "own" ins(%g : tensor<64x16xf32>) outs(%p, %q : tensor<64x16xf32>, tensor<64x16xf32>) {
    ^bb0(%grad: tensor<64x16xf32>, %old: tensor<64x16xf32>, %mom: tensor<64x16xf32>):
      %m1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%grad : tensor<64x16xf32>) outs(%mom : tensor<64x16xf32>) {
      ^bb0(%gi: f32, %mi: f32):
        %s = arith.addf %mi, %gi : f32
        linalg.yield %s : f32
      } -> tensor<64x16xf32>
      %w1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%m1, %grad : tensor<64x16xf32>, tensor<64x16xf32>) outs(%old : tensor<64x16xf32>) {
      ^bb0(%mi: f32, %gi: f32, %wi: f32):
        %d = arith.mulf %mi, %gi : f32
        %s = arith.subf %wi, %d : f32
        linalg.yield %s : f32
      } -> tensor<64x16xf32>
      train.yield %w1, %m1 : tensor<64x16xf32>, tensor<64x16xf32>
    } : tensor<64x16xf32>, tensor<64x16xf32>
    train.yield %n#0, %n#1 : tensor<64x16xf32>, tensor<64x16xf32>
  } : tensor<64x16xf32>, tensor<64x16xf32>
  return %r#0, %r#1 : tensor<64x16xf32>, tensor<64x16xf32>
}

// -----

func.func @do_not_fuse_empty_parameter(%w: tensor<0x4xf32>, %g: tensor<0x4xf32>) -> tensor<0x4xf32> {
  // expected-error @below {{takes 'tensor<0x4xf32>', which has no elements; leave it out of the step}}
  %r = train.cluster <backward> ins(%g, %w : tensor<0x4xf32>, tensor<0x4xf32>) {
  ^bb0(%a: tensor<0x4xf32>, %p: tensor<0x4xf32>):
    %n = train.sgd ins(%a : tensor<0x4xf32>) outs(%p : tensor<0x4xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<0x4xf32>
  } : tensor<0x4xf32>
  return %r : tensor<0x4xf32>
}

// -----

func.func @do_not_fuse_no_update(%w: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{has no loop that makes a new parameter}}
  %r = train.cluster <forward> ins(%w : tensor<4xf32>) {
  ^bb0(%p: tensor<4xf32>):
    %n = arith.negf %p : tensor<4xf32>
    train.yield %n : tensor<4xf32>
  } : tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

func.func @do_not_fuse_read_twice(%w: tensor<4x4xf32>, %g: tensor<4x4xf32>, %z: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  // expected-error@+1 {{has a product that reads it through more than one operand}}
  %r:2 = train.cluster <forward> ins(%g, %w, %z : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  ^bb0(%a: tensor<4x4xf32>, %p: tensor<4x4xf32>, %q: tensor<4x4xf32>):
    %n = train.sgd ins(%a : tensor<4x4xf32>) outs(%p : tensor<4x4xf32>) {lr = 0.1 : f64}
    %y = linalg.matmul ins(%n, %n : tensor<4x4xf32>, tensor<4x4xf32>) outs(%q : tensor<4x4xf32>) -> tensor<4x4xf32>
    train.yield %n, %y : tensor<4x4xf32>, tensor<4x4xf32>
  } : tensor<4x4xf32>, tensor<4x4xf32>
  return %r#0, %r#1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

func.func @do_not_fuse_two_readers(%w: tensor<4x4xf32>, %g: tensor<4x4xf32>, %z: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  // expected-error@+1 {{has two ops that read the new parameter}}
  %r:3 = train.cluster <forward> ins(%g, %w, %z : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  ^bb0(%a: tensor<4x4xf32>, %p: tensor<4x4xf32>, %q: tensor<4x4xf32>):
    %n = train.sgd ins(%a : tensor<4x4xf32>) outs(%p : tensor<4x4xf32>) {lr = 0.1 : f64}
    %y = linalg.matmul ins(%a, %n : tensor<4x4xf32>, tensor<4x4xf32>) outs(%q : tensor<4x4xf32>) -> tensor<4x4xf32>
    %u = linalg.matmul ins(%n, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%q : tensor<4x4xf32>) -> tensor<4x4xf32>
    train.yield %n, %y, %u : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
  } : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
  return %r#0, %r#1, %r#2 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// One row of a batch: an element of the gradient is one product, which the update makes
// where it needs it. The product adds it to zero, which makes +0 of -0.

// CHECK-LABEL: func.func @outer_product
// CHECK-SAME:    %[[X:[^:]*]]: tensor<1x64xf32>, %[[DY:[^:]*]]: tensor<1x16xf32>
// CHECK:         scf.forall
// CHECK-DAG:       %[[XS:.*]] = tensor.extract_slice %[[X]][0, %{{.*}}] [1, 16] [1, 1]
// CHECK-NOT:       linalg.matmul
// CHECK:           linalg.generic {{.*}} ins(%{{.*}}, %[[XS]], %[[DY]] : tensor<f32>, tensor<1x16xf32>, tensor<1x16xf32>)
// CHECK:           ^bb0(%[[LR:.*]]: f32, %[[A:.*]]: f32, %[[B:.*]]: f32, %[[W:.*]]: f32):
// CHECK:             %[[P:.*]] = arith.mulf %[[A]], %[[B]]
// CHECK:             %[[G:.*]] = arith.addf %[[P]], %cst
// CHECK:             arith.mulf %[[LR]], %[[G]]
func.func @outer_product(%x: tensor<1x64xf32>, %dy: tensor<1x16xf32>, %w: tensor<64x16xf32>) -> tensor<64x16xf32> {
  %r = train.cluster <backward> ins(%x, %dy, %w : tensor<1x64xf32>, tensor<1x16xf32>, tensor<64x16xf32>) {
  ^bb0(%a: tensor<1x64xf32>, %b: tensor<1x16xf32>, %p: tensor<64x16xf32>):
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64x16xf32>
    %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
    %g = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%a, %b : tensor<1x64xf32>, tensor<1x16xf32>) outs(%f : tensor<64x16xf32>) -> tensor<64x16xf32>
    %n = train.sgd ins(%g : tensor<64x16xf32>) outs(%p : tensor<64x16xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<64x16xf32>
  } : tensor<64x16xf32>
  return %r : tensor<64x16xf32>
}
