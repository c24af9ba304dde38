// RUN: plait-opt %s -train-plan-arena -canonicalize | FileCheck %s
// Once, PlanArena's lastUse() followed only the results of a buffer's users, but
// scf.yield has none. What an scf.if yields is the buffer under another name.

// %r may be %a, and is read after %d is written: %d must not lie on %a or %b.

// CHECK-LABEL: func.func @yielded_buffer_stays_alive
// CHECK-SAME:    memref<192xi8>)
func.func @yielded_buffer_stays_alive(%c: i1, %x: memref<16xf32>, %y: memref<16xf32>) {
  %a = memref.alloc() : memref<16xf32>
  %b = memref.alloc() : memref<16xf32>
  linalg.exp ins(%x : memref<16xf32>) outs(%a : memref<16xf32>)
  linalg.exp ins(%a : memref<16xf32>) outs(%b : memref<16xf32>)
  %r = scf.if %c -> (memref<16xf32>) {
    scf.yield %a : memref<16xf32>
  } else {
    scf.yield %b : memref<16xf32>
  }
  %d = memref.alloc() : memref<16xf32>
  linalg.abs ins(%x : memref<16xf32>) outs(%d : memref<16xf32>)
  linalg.add ins(%r, %d : memref<16xf32>, memref<16xf32>) outs(%y : memref<16xf32>)
  return
}
