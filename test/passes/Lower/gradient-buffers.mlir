// Which gradients are stored, as train-finalize-abi writes it down: by buffers,
// not by what placement meant.

// RUN: plait-opt %s -train-finalize-abi -split-input-file | FileCheck %s

#id = affine_map<(i) -> (i)>

// The update reads the whole gradient, and a scalar.

// CHECK-LABEL: func.func @stored
// CHECK-SAME:    plait.gradient_bytes = {w = 32 : i64}
func.func @stored(%w: memref<8xf32> {train.role = #train.param<"w">}, %m: memref<8xf32> {train.role = #train.state<"w", "m">},
    %x: memref<8xf32> {train.role = #train.input<"x">}, %lr: memref<f32> {train.role = #train.input<"lr">})
    -> (memref<8xf32> {train.role = #train.next<"w">}, memref<8xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %g = memref.alloc() : memref<8xf32>
  linalg.exp ins(%x : memref<8xf32>) outs(%g : memref<8xf32>)
  linalg.generic {indexing_maps = [#id, affine_map<(i) -> ()>, #id, #id], iterator_types = ["parallel"]}
      ins(%g, %lr : memref<8xf32>, memref<f32>) outs(%w, %m : memref<8xf32>, memref<8xf32>) {
  ^bb0(%a: f32, %r: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %r : f32
    %q = arith.subf %b, %p : f32
    linalg.yield %q, %a : f32, f32
  }
  return %w, %m : memref<8xf32>, memref<8xf32>
}

// -----

// A panel is no stored gradient.

// CHECK-LABEL: func.func @panel
// CHECK-SAME:    plait.gradient_bytes = {w = 0 : i64}
func.func @panel(%w: memref<8xf32> {train.role = #train.param<"w">}, %x: memref<8xf32> {train.role = #train.input<"x">})
    -> (memref<8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  scf.forall (%i) = (0) to (8) step (4) {
    %xs = memref.subview %x[%i] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: ?>>
    %ws = memref.subview %w[%i] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: ?>>
    %g = memref.alloc() : memref<4xf32>
    linalg.exp ins(%xs : memref<4xf32, strided<[1], offset: ?>>) outs(%g : memref<4xf32>)
    linalg.sub ins(%ws, %g : memref<4xf32, strided<[1], offset: ?>>, memref<4xf32>) outs(%ws : memref<4xf32, strided<[1], offset: ?>>)
  }
  return %w : memref<8xf32>
}

// -----

// One part of a sum is a panel, the other is stored: the sum is in the loop nest
// of its update, and yet 32 bytes of gradient are stored.

// CHECK-LABEL: func.func @one_part_is_stored
// CHECK-SAME:    plait.gradient_bytes = {w = 32 : i64}
func.func @one_part_is_stored(%w: memref<8xf32> {train.role = #train.param<"w">}, %x: memref<8xf32> {train.role = #train.input<"x">})
    -> (memref<8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %part = memref.alloc() : memref<4x2xf32>
  %flat = memref.collapse_shape %part [[0, 1]] : memref<4x2xf32> into memref<8xf32>
  linalg.exp ins(%x : memref<8xf32>) outs(%flat : memref<8xf32>)
  scf.forall (%i) = (0) to (8) step (4) {
    %xs = memref.subview %x[%i] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: ?>>
    %ws = memref.subview %w[%i] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: ?>>
    %ps = memref.subview %flat[%i] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: ?>>
    %g = memref.alloc() : memref<4xf32>
    linalg.exp ins(%xs : memref<4xf32, strided<[1], offset: ?>>) outs(%g : memref<4xf32>)
    %sum = memref.alloc() : memref<4xf32>
    linalg.add ins(%g, %ps : memref<4xf32>, memref<4xf32, strided<[1], offset: ?>>) outs(%sum : memref<4xf32>)
    linalg.sub ins(%ws, %sum : memref<4xf32, strided<[1], offset: ?>>, memref<4xf32>) outs(%ws : memref<4xf32, strided<[1], offset: ?>>)
  }
  return %w : memref<8xf32>
}

// -----

// What the update itself makes on its way is no gradient, though it is as large;
// nor is the buffer of a next value that is copied to its parameter.

// CHECK-LABEL: func.func @of_the_update
// CHECK-SAME:    plait.gradient_bytes = {w = 32 : i64}
func.func @of_the_update(%w: memref<8xf32> {train.role = #train.param<"w">}, %m: memref<8xf32> {train.role = #train.state<"w", "m">},
    %x: memref<8xf32> {train.role = #train.input<"x">})
    -> (memref<8xf32> {train.role = #train.next<"w">}, memref<8xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %g = memref.alloc() : memref<8xf32>
  linalg.exp ins(%x : memref<8xf32>) outs(%g : memref<8xf32>)
  %direction = memref.alloc() : memref<8xf32>
  linalg.add ins(%m, %g : memref<8xf32>, memref<8xf32>) outs(%direction : memref<8xf32>)
  %next = memref.alloc() : memref<8xf32>
  linalg.sub ins(%w, %direction : memref<8xf32>, memref<8xf32>) outs(%next : memref<8xf32>)
  memref.copy %next, %w : memref<8xf32> to memref<8xf32>
  return %w, %m : memref<8xf32>, memref<8xf32>
}

// -----

// A pending gradient is stored; an input and a constant are not made by the step.

memref.global "private" constant @ones : memref<8xf32> = dense<1.0>

// CHECK-LABEL: func.func @elsewhere
// CHECK-SAME:    plait.gradient_bytes = {u = 0 : i64, v = 0 : i64, w = 32 : i64}
func.func @elsewhere(%w: memref<8xf32> {train.role = #train.param<"w">}, %u: memref<8xf32> {train.role = #train.param<"u">},
    %v: memref<8xf32> {train.role = #train.param<"v">}, %frozen: memref<8xf32> {train.role = #train.param<"frozen">},
    %p: memref<8xf32> {train.role = #train.pending<"w", "in0">}, %x: memref<8xf32> {train.role = #train.input<"x">})
    -> (memref<8xf32> {train.role = #train.next<"w">}, memref<8xf32> {train.role = #train.next<"u">},
        memref<8xf32> {train.role = #train.next<"v">}, memref<8xf32> {train.role = #train.pending<"w", "in0">}) attributes {train.step} {
  %ones = memref.get_global @ones : memref<8xf32>
  linalg.sub ins(%w, %p : memref<8xf32>, memref<8xf32>) outs(%w : memref<8xf32>)
  linalg.sub ins(%u, %x : memref<8xf32>, memref<8xf32>) outs(%u : memref<8xf32>)
  linalg.sub ins(%v, %ones : memref<8xf32>, memref<8xf32>) outs(%v : memref<8xf32>)
  linalg.exp ins(%frozen : memref<8xf32>) outs(%p : memref<8xf32>)
  return %w, %u, %v, %p : memref<8xf32>, memref<8xf32>, memref<8xf32>, memref<8xf32>
}
