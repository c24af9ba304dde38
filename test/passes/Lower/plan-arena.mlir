// RUN: plait-opt %s -split-input-file -verify-diagnostics -train-plan-arena -canonicalize | FileCheck %s

// A chain of three buffers: the third, of 128 bytes, may lie on the first, for
// nobody reads that any more; the second lies beside both.

// CHECK-LABEL: func.func @chain
// CHECK-SAME:    %[[X:[^ ]*]]: memref<16xf32>, %[[ARENA:[^ ]*]]: memref<192xi8>)
// CHECK-SAME:    attributes {plait.arena_bytes = 192 : i64}
// CHECK-DAG:     %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG:     %[[C128:.*]] = arith.constant 128 : index
// CHECK:         %[[A:.*]] = memref.view %[[ARENA]][%[[C0]]][] : memref<192xi8> to memref<16xf32>
// CHECK:         %[[B:.*]] = memref.view %[[ARENA]][%[[C128]]][] : memref<192xi8> to memref<16xf32>
// CHECK:         %[[C:.*]] = memref.view %[[ARENA]][%[[C0]]][] : memref<192xi8> to memref<32xf32>
// CHECK-NOT:     memref.alloc
func.func @chain(%x: memref<16xf32>) {
  %a = memref.alloc() : memref<16xf32>
  linalg.exp ins(%x : memref<16xf32>) outs(%a : memref<16xf32>)
  %b = memref.alloc() : memref<16xf32>
  linalg.exp ins(%a : memref<16xf32>) outs(%b : memref<16xf32>)
  %c = memref.alloc() : memref<32xf32>
  %s = memref.subview %c[0] [16] [1] : memref<32xf32> to memref<16xf32, strided<[1]>>
  linalg.exp ins(%b : memref<16xf32>) outs(%s : memref<16xf32, strided<[1]>>)
  linalg.exp ins(%s : memref<16xf32, strided<[1]>>) outs(%x : memref<16xf32>)
  return
}

// -----

// A buffer lives as long as its views: %b may not lie on %a.

// CHECK-LABEL: func.func @view_keeps_alive
// CHECK-SAME:    memref<128xi8>)
func.func @view_keeps_alive(%x: memref<16xf32>) {
  %a = memref.alloc() : memref<16xf32>
  %s = memref.subview %a[0] [8] [1] : memref<16xf32> to memref<8xf32, strided<[1]>>
  linalg.exp ins(%x : memref<16xf32>) outs(%a : memref<16xf32>)
  %b = memref.alloc() : memref<16xf32>
  linalg.exp ins(%x : memref<16xf32>) outs(%b : memref<16xf32>)
  linalg.exp ins(%b : memref<16xf32>) outs(%x : memref<16xf32>)
  linalg.exp ins(%s : memref<8xf32, strided<[1]>>) outs(%s : memref<8xf32, strided<[1]>>)
  return
}

// -----

// Tile-sized buffers of iterations go to the stack, and every buffer to a
// place of its own cache line.

// CHECK-LABEL: func.func @stack
// CHECK-SAME:    %{{.*}}: memref<64xi8>)
// CHECK:         scf.forall
// CHECK:           memref.alloca() {alignment = 64 : i64} : memref<4xf32>
// CHECK-NOT:     memref.dealloc
func.func @stack(%x: memref<16xf32>, %y: memref<f32>) {
  %n = memref.alloc() : memref<f32>
  linalg.exp ins(%y : memref<f32>) outs(%n : memref<f32>)
  linalg.exp ins(%n : memref<f32>) outs(%y : memref<f32>)
  scf.forall (%i) in (4) {
    %t = memref.alloc() : memref<4xf32>
    %o = affine.apply affine_map<(i) -> (i * 4)>(%i)
    %v = memref.subview %x[%o] [4] [1] : memref<16xf32> to memref<4xf32, strided<[1], offset: ?>>
    linalg.exp ins(%v : memref<4xf32, strided<[1], offset: ?>>) outs(%t : memref<4xf32>)
    linalg.exp ins(%t : memref<4xf32>) outs(%v : memref<4xf32, strided<[1], offset: ?>>)
    memref.dealloc %t : memref<4xf32>
  }
  return
}

// -----

// Every function gets an arena, so that the caller need not ask.

// CHECK-LABEL: func.func @nothing_to_place
// CHECK-SAME:    memref<0xi8>) attributes {plait.arena_bytes = 0 : i64}
func.func @nothing_to_place() {
  return
}

// -----

func.func @do_not_plan_dynamic_shape(%n: index) {
  // expected-error@+1 {{has a dynamic shape; a step's buffers must be known at compile time}}
  %a = memref.alloc(%n) : memref<?xf32>
  return
}

// -----

func.func @do_not_plan_large_iteration_buffer(%x: memref<f32>) {
  scf.forall (%i) in (4) {
    // expected-error@+1 {{a buffer of a loop iteration must be static and at most 2 MiB; use smaller panels}}
    %t = memref.alloc() : memref<1024x1024xf32>
    %c0 = arith.constant 0.0 : f32
    linalg.fill ins(%c0 : f32) outs(%t : memref<1024x1024xf32>)
  }
  return
}
