// RUN: plait-opt %s -split-input-file -train-print-update-dependence -o /dev/null \
// RUN:   | FileCheck %s --implicit-check-not='depends on' --implicit-check-not=illegal

// What the analysis answers, apart from the passes that obey it. Locations name
// the ops.

// torch's order: dX, which reads W, comes before dW, which bounds the start.

// CHECK-LABEL: @torch_order:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after operand made by 'linalg.matmul' at loc("dw"); before new value used by 'func.return'
func.func @torch_order(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %dx = linalg.matmul ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dx")
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %dx : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// JAX's order: the gradient is there, W is still read.

// CHECK-LABEL: @jax_order:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after old value read by 'linalg.matmul' at loc("dx"); before new value used by 'func.return'
func.func @jax_order(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %dx = linalg.matmul ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dx")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %dx : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Who reads a view reads the parameter; the view itself reads nothing.

// CHECK-LABEL: @view:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after old value read by 'tensor.extract' at loc("element")
func.func @view(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, f32) {
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %flat = tensor.collapse_shape %w [[0, 1]] : tensor<4x4xf32> into tensor<16xf32>
  %part = tensor.extract_slice %flat[0] [4] [1] : tensor<16xf32> to tensor<4xf32>
  %i = arith.constant 0 : index
  %e = tensor.extract %part[%i] : tensor<4xf32> loc("element")
  %unread = tensor.collapse_shape %w [[0, 1]] : tensor<4x4xf32> into tensor<16xf32> loc("unread")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %e : tensor<4x4xf32>, f32
}

// -----

// A reader in a region counts as the op of the update's block that holds it.

// CHECK-LABEL: @nested_reader:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after old value read by 'scf.if' at loc("if")
func.func @nested_reader(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %c: i1)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %r = scf.if %c -> tensor<4x4xf32> {
    %a = linalg.matmul ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("inner")
    scf.yield %a : tensor<4x4xf32>
  } else {
    scf.yield %x : tensor<4x4xf32>
  } loc("if")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %r : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A branch may give the old value itself: who reads its result reads W.

// CHECK-LABEL: @alias_by_branch:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after old value read by 'linalg.matmul' at loc("alias")
func.func @alias_by_branch(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %c: i1)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %v = scf.if %c -> tensor<4x4xf32> {
    scf.yield %w : tensor<4x4xf32>
  } else {
    scf.yield %x : tensor<4x4xf32>
  } loc("if")
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %k = linalg.matmul ins(%dy, %v : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("alias")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %k : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A loop that runs no time gives what it started with, and one that runs may hand
// it from iteration to iteration. What else it carries is no alias.

// CHECK-LABEL: @alias_by_loop:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after old value read by 'linalg.matmul' at loc("alias")
func.func @alias_by_loop(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %n: index)
    -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %v:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %w, %b = %x) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
    %m = linalg.matmul ins(%a, %b : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("inner")
    scf.yield %a, %m : tensor<4x4xf32>, tensor<4x4xf32>
  } loc("for")
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %k = linalg.matmul ins(%dy, %v#0 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("alias")
  %o = linalg.matmul ins(%dy, %v#1 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("other")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %k, %o : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// One of two tensors, by a flag.

// CHECK-LABEL: @alias_by_select:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after old value read by 'linalg.matmul' at loc("alias")
func.func @alias_by_select(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %c: i1)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %v = arith.select %c, %x, %w : tensor<4x4xf32> loc("select")
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %k = linalg.matmul ins(%dy, %v : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("alias")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %k : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Element by element, a selection computes a tensor of its own.

// CHECK-LABEL: @no_alias_by_arithmetic:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after operand made by 'linalg.matmul' at loc("dw")
func.func @no_alias_by_arithmetic(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %c: tensor<4x4xi1>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %v = arith.select %c, %x, %w : tensor<4x4xi1>, tensor<4x4xf32> loc("select")
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %k = linalg.matmul ins(%dy, %v : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("alias")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %k : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// An op that nothing is known of may return what it is given.

// CHECK-LABEL: @alias_by_call:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after old value read by 'linalg.matmul' at loc("alias")
func.func private @unknown(tensor<4x4xf32>) -> tensor<4x4xf32>
func.func @alias_by_call(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %v = call @unknown(%w) : (tensor<4x4xf32>) -> tensor<4x4xf32> loc("call")
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %k = linalg.matmul ins(%dy, %v : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("alias")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %k : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The alias is returned: no position is left.

// CHECK-LABEL: @alias_escapes:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0 (illegal): after old value passed on by 'func.return'
func.func @alias_escapes(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %c: i1)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %v = arith.select %c, %x, %w : tensor<4x4xf32>
  %w1 = train.sgd ins(%dy : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %v : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Two products share the weight: the update waits for the sum and for both readers.

// CHECK-LABEL: @tied:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after old value read by 'linalg.matmul' at loc("second")
func.func @tied(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %d1 = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("d1")
  %d2 = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("d2")
  %dw = linalg.add ins(%d1, %d2 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("sum")
  %a = linalg.matmul ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("first")
  %b = linalg.matmul ins(%a, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("second")
  %w1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %b : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Each result has a window of its own.

// CHECK-LABEL: @states:
// CHECK-NEXT: update of "w":
// CHECK-NEXT:   result #0: after operand made by 'linalg.matmul' at loc("dw"); before new value used by 'func.return'
// CHECK-NEXT:   result #1: after old value read by 'linalg.matmul' at loc("reads_m"); before new value used by 'func.return'
func.func @states(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %m: tensor<4x4xf32> {train.role = #train.state<"w", "momentum_buffer">},
    %i: tensor<f32> {train.role = #train.state<"w", "initialized">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %n = linalg.matmul ins(%dy, %m : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("reads_m")
  %w1, %m1, %i1 = train.sgd ins(%dw : tensor<4x4xf32>) outs(%w, %m, %i : tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>)
      {lr = 0.1 : f64, momentum = 0.9 : f64}
  return %w1, %m1, %n : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// An update in a loop: windows lie in its block.

// CHECK-LABEL: @in_a_loop:
// CHECK-NEXT: update of "":
// CHECK-NEXT:   result #0: after old value read by 'linalg.matmul' at loc("dx"); before new value used by 'scf.yield'
func.func @in_a_loop(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %n: index)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %v:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %w, %b = %x) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
    %g = linalg.matmul ins(%b, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("g")
    %dx = linalg.matmul ins(%a, %b : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dx")
    %a1 = train.sgd ins(%g : tensor<4x4xf32>) outs(%a : tensor<4x4xf32>) {lr = 0.1 : f64}
    scf.yield %a1, %dx : tensor<4x4xf32>, tensor<4x4xf32>
  }
  return %v#0, %v#1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A scale made of all gradients, read as a tensor.

// CHECK-LABEL: @global_norm:
// CHECK-NEXT: update of "w":
// CHECK:        depends on the gradients of "u"
// CHECK:      update of "u":
// CHECK:        depends on the gradients of "w"
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @global_norm(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %z0: tensor<f32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %du = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("du")
  %n = linalg.generic {indexing_maps = [#id, #id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%dw, %du : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z0 : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %aa = arith.mulf %a, %a : f32
    %bb = arith.mulf %b, %b : f32
    %s = arith.addf %aa, %bb : f32
    %r = arith.addf %o, %s : f32
    linalg.yield %r : f32
  } -> tensor<f32> loc("norm")
  %gw = linalg.generic {indexing_maps = [#id, #scalar, #id], iterator_types = ["parallel", "parallel"]}
      ins(%dw, %n : tensor<4x4xf32>, tensor<f32>) outs(%z : tensor<4x4xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %m = arith.mulf %a, %s : f32
    linalg.yield %m : f32
  } -> tensor<4x4xf32>
  %gu = linalg.generic {indexing_maps = [#id, #scalar, #id], iterator_types = ["parallel", "parallel"]}
      ins(%du, %n : tensor<4x4xf32>, tensor<f32>) outs(%z : tensor<4x4xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %m = arith.mulf %a, %s : f32
    linalg.yield %m : f32
  } -> tensor<4x4xf32>
  %w1 = train.sgd ins(%gw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%gu : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The same scale, taken out of its tensor and captured by the body.

// CHECK-LABEL: @captured_scalar:
// CHECK-NEXT: update of "w":
// CHECK:        depends on the gradients of "u"
// CHECK:      update of "u":
// CHECK:        depends on the gradients of "w"
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @captured_scalar(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %z0: tensor<f32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %du = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("du")
  %n = linalg.generic {indexing_maps = [#id, #id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%dw, %du : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z0 : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %aa = arith.mulf %a, %a : f32
    %bb = arith.mulf %b, %b : f32
    %s = arith.addf %aa, %bb : f32
    %r = arith.addf %o, %s : f32
    linalg.yield %r : f32
  } -> tensor<f32> loc("norm")
  %k = tensor.extract %n[] : tensor<f32>
  %gw = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%dw : tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %k : f32
    linalg.yield %m : f32
  } -> tensor<4x4xf32>
  %gu = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%du : tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %k : f32
    linalg.yield %m : f32
  } -> tensor<4x4xf32>
  %w1 = train.sgd ins(%gw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%gu : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The same scale, behind a reshape, as plain arithmetic on a tensor filled with it.

// CHECK-LABEL: @splat_behind_reshape:
// CHECK-NEXT: update of "w":
// CHECK:        depends on the gradients of "u"
// CHECK:      update of "u":
// CHECK:        depends on the gradients of "w"
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @splat_behind_reshape(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %z0: tensor<f32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %du = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("du")
  %n = linalg.generic {indexing_maps = [#id, #id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%dw, %du : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z0 : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %aa = arith.mulf %a, %a : f32
    %bb = arith.mulf %b, %b : f32
    %s = arith.addf %aa, %bb : f32
    %r = arith.addf %o, %s : f32
    linalg.yield %r : f32
  } -> tensor<f32> loc("norm")
  %k = tensor.extract %n[] : tensor<f32>
  %all = tensor.splat %k : tensor<16xf32>
  %fw = tensor.collapse_shape %dw [[0, 1]] : tensor<4x4xf32> into tensor<16xf32>
  %sw = arith.mulf %fw, %all : tensor<16xf32>
  %gw = tensor.expand_shape %sw [[0, 1]] output_shape [4, 4] : tensor<16xf32> into tensor<4x4xf32>
  %fu = tensor.collapse_shape %du [[0, 1]] : tensor<4x4xf32> into tensor<16xf32>
  %su = arith.mulf %fu, %all : tensor<16xf32>
  %gu = tensor.expand_shape %su [[0, 1]] output_shape [4, 4] : tensor<16xf32> into tensor<4x4xf32>
  %w1 = train.sgd ins(%gw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%gu : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A flag made of all gradients chooses between gradient and zeros.

// CHECK-LABEL: @finite_flag:
// CHECK-NEXT: update of "w":
// CHECK:        depends on the gradients of "u"
// CHECK:      update of "u":
// CHECK:        depends on the gradients of "w"
#id = affine_map<(i, j) -> (i, j)>
#scalar = affine_map<(i, j) -> ()>
func.func @finite_flag(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %z0: tensor<f32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %dw = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("dw")
  %du = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32> loc("du")
  %n = linalg.generic {indexing_maps = [#id, #id, #scalar], iterator_types = ["reduction", "reduction"]}
      ins(%dw, %du : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z0 : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %aa = arith.mulf %a, %a : f32
    %bb = arith.mulf %b, %b : f32
    %s = arith.addf %aa, %bb : f32
    %r = arith.addf %o, %s : f32
    linalg.yield %r : f32
  } -> tensor<f32> loc("norm")
  %k = tensor.extract %n[] : tensor<f32>
  %c = arith.cmpf ord, %k, %k : f32
  %gw = arith.select %c, %dw, %z : tensor<4x4xf32>
  %gu = scf.if %c -> tensor<4x4xf32> {
    scf.yield %du : tensor<4x4xf32>
  } else {
    scf.yield %z : tensor<4x4xf32>
  }
  %w1 = train.sgd ins(%gw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%gu : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Who shares nothing but zeros and a learning rate depends on nothing but itself.

// CHECK-LABEL: @shared_zeros_are_no_norm:
// CHECK-NEXT: update of "w":
// CHECK:      update of "u":
#id = affine_map<(i, j) -> (i, j)>
func.func @shared_zeros_are_no_norm(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %x: tensor<4x4xf32>, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %z0: tensor<f32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %c1 = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %zeros = linalg.fill ins(%c1 : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %dw = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zeros : tensor<4x4xf32>) -> tensor<4x4xf32>
  %du = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zeros : tensor<4x4xf32>) -> tensor<4x4xf32>
  %gw = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%dw : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %c1 : f32
    linalg.yield %m : f32
  } -> tensor<4x4xf32>
  %gu = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%du : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %c1 : f32
    linalg.yield %m : f32
  } -> tensor<4x4xf32>
  %w1 = train.sgd ins(%gw : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%gu : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %u1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Two parameters of one element: the gradients are scalars like their scale.

// CHECK-LABEL: @scalar_parameters:
// CHECK-NEXT: update of "w":
// CHECK:        depends on the gradients of "u"
// CHECK:      update of "u":
// CHECK:        depends on the gradients of "w"
func.func @scalar_parameters(
    %w: tensor<f32> {train.role = #train.param<"w">}, %u: tensor<f32> {train.role = #train.param<"u">}, %x: tensor<4xf32>, %y: tensor<4xf32>, %z0: tensor<f32>)
    -> (tensor<f32>, tensor<f32>) {
  %dw = linalg.reduce {arith.addf} ins(%x : tensor<4xf32>) outs(%z0 : tensor<f32>) dimensions = [0]
  %du = linalg.reduce {arith.addf} ins(%y : tensor<4xf32>) outs(%z0 : tensor<f32>) dimensions = [0]
  %n = arith.addf %dw, %du : tensor<f32>
  %gw = arith.divf %dw, %n : tensor<f32>
  %gu = arith.divf %du, %n : tensor<f32>
  %w1 = train.sgd ins(%gw : tensor<f32>) outs(%w : tensor<f32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%gu : tensor<f32>) outs(%u : tensor<f32>) {lr = 0.1 : f64}
  return %w1, %u1 : tensor<f32>, tensor<f32>
}
