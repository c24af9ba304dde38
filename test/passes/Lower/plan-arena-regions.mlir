// RUN: plait-opt %s -split-input-file -verify-diagnostics -train-plan-arena -canonicalize | FileCheck %s

// The buffers of a loop are planned in turn: %c may lie on %a, in an iteration.
// To the outside they are one buffer of 128 bytes, which %x2 lies beside.

// CHECK-LABEL: func.func @loop
// CHECK-SAME:    %[[ARENA:[^ ]*]]: memref<192xi8>)
// CHECK-DAG:     %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG:     %[[C64:.*]] = arith.constant 64 : index
// CHECK-DAG:     %[[C128:.*]] = arith.constant 128 : index
// CHECK:         memref.view %[[ARENA]][%[[C128]]][]
// CHECK:         scf.for
// CHECK:           memref.view %[[ARENA]][%[[C0]]][]
// CHECK:           memref.view %[[ARENA]][%[[C64]]][]
// CHECK:           memref.view %[[ARENA]][%[[C0]]][]
// CHECK-NOT:     memref.alloc
func.func @loop(%x: memref<16xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %x2 = memref.alloc() : memref<16xf32>
  linalg.exp ins(%x : memref<16xf32>) outs(%x2 : memref<16xf32>)
  scf.for %i = %c0 to %c4 step %c1 {
    %a = memref.alloc() : memref<16xf32>
    linalg.exp ins(%x2 : memref<16xf32>) outs(%a : memref<16xf32>)
    %b = memref.alloc() : memref<16xf32>
    linalg.exp ins(%a : memref<16xf32>) outs(%b : memref<16xf32>)
    %c = memref.alloc() : memref<16xf32>
    linalg.exp ins(%b : memref<16xf32>) outs(%c : memref<16xf32>)
    linalg.exp ins(%c : memref<16xf32>) outs(%x : memref<16xf32>)
  }
  return
}

// -----

// What a branch yields is alive after it: %d must not lie on %a. What it does
// not yield stays inside, and %d lies on that.

// CHECK-LABEL: func.func @branch
// CHECK-SAME:    %[[ARENA:[^ ]*]]: memref<128xi8>)
// CHECK-DAG:     %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG:     %[[C64:.*]] = arith.constant 64 : index
// CHECK:         %[[A:.*]] = memref.view %[[ARENA]][%[[C0]]][]
// CHECK:         %[[R:.*]] = arith.select %{{.*}}, %[[A]]
// CHECK:         scf.if
// CHECK:           memref.view %[[ARENA]][%[[C64]]][]
// CHECK:         memref.view %[[ARENA]][%[[C64]]][]
func.func @branch(%p: i1, %x: memref<16xf32>, %y: memref<16xf32>) {
  %r = scf.if %p -> (memref<16xf32>) {
    %a = memref.alloc() : memref<16xf32>
    %t = memref.alloc() : memref<16xf32>
    linalg.exp ins(%x : memref<16xf32>) outs(%t : memref<16xf32>)
    linalg.exp ins(%t : memref<16xf32>) outs(%a : memref<16xf32>)
    scf.yield %a : memref<16xf32>
  } else {
    scf.yield %x : memref<16xf32>
  }
  %d = memref.alloc() : memref<16xf32>
  linalg.exp ins(%x : memref<16xf32>) outs(%d : memref<16xf32>)
  linalg.add ins(%r, %d : memref<16xf32>, memref<16xf32>) outs(%y : memref<16xf32>)
  return
}

// -----

func.func @do_not_carry_a_new_buffer(%x: memref<16xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%c = %x) -> (memref<16xf32>) {
    // expected-error@+1 {{a loop carries this buffer, which each iteration allocates anew}}
    %a = memref.alloc() : memref<16xf32>
    linalg.exp ins(%c : memref<16xf32>) outs(%a : memref<16xf32>)
    scf.yield %a : memref<16xf32>
  }
  linalg.exp ins(%r : memref<16xf32>) outs(%x : memref<16xf32>)
  return
}
