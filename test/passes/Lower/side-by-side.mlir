// RUN: plait-opt %s -train-side-by-side=lanes=8 | FileCheck %s

// Two loops of 4 tiles: those of the first are of lanes 0, 2, 4 and 6, those of
// the second, by half a tile later, of 1, 3, 5 and 7.

// CHECK-LABEL: func.func @independent
// CHECK:         scf.parallel (%[[L:.*]]) = (%c0{{.*}}) to (%c8{{.*}}) step
// CHECK:           %[[NEXT:.*]] = arith.addi %[[L]], %c1
// CHECK:           %[[M:.*]] = arith.muli %[[L]], %c32
// CHECK:           %[[U:.*]] = arith.addi %[[M]], %c63
// CHECK:           %[[B:.*]] = arith.divui %[[U]], %c64
// CHECK:           %[[E:.*]] = arith.divui
// CHECK:           scf.for %[[I:.*]] = %[[B]] to %[[E]] step
// CHECK:             memref.store %{{.*}}, %arg0
// CHECK:           arith.addi %{{.*}}, %c31
// CHECK:           scf.for
// CHECK:             memref.store %{{.*}}, %arg1
// CHECK-NOT:     scf.parallel
func.func @independent(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// A tile of a loop over two dimensions has both.

// CHECK-LABEL: func.func @two_dimensions
// CHECK:         scf.parallel (%{{.*}}) = (%c0{{.*}}) to (%c8{{.*}}) step
// CHECK:           scf.for %[[T:.*]] = %
// CHECK:             %[[R:.*]] = arith.remui %[[T]], %c3
// CHECK:             %[[D:.*]] = arith.divui %[[T]], %c3
// CHECK:             %[[RS:.*]] = arith.muli %[[R]], %c2
// CHECK:             %[[J:.*]] = arith.addi %c0, %[[RS]]
// CHECK:             %[[DS:.*]] = arith.muli %[[D]], %c1
// CHECK:             %[[I:.*]] = arith.addi %c0, %[[DS]]
// CHECK:             memref.store %{{.*}}, %arg0[%[[I]], %[[J]]]
func.func @two_dimensions(%x: memref<2x6xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c4 = arith.constant 4 : index
  %c6 = arith.constant 6 : index
  scf.parallel (%i, %j) = (%c0, %c0) to (%c2, %c6) step (%c1, %c2) {
    memref.store %f, %x[%i, %j] : memref<2x6xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// Places of the arena that do not meet.

// CHECK-LABEL: func.func @apart_in_arena
// CHECK:         scf.parallel
// CHECK-NOT:     scf.parallel
func.func @apart_in_arena(%arena: memref<64xi8>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %x = memref.view %arena[%c0][] : memref<64xi8> to memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  %y = memref.view %arena[%c16][] : memref<64xi8> to memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// What nobody waits for, the second loop, runs beside the third, which waits for
// the store between them.

// CHECK-LABEL: func.func @update_beside_next_gradient
// CHECK:         scf.parallel
// CHECK:           memref.store %{{.*}}, %arg1
// CHECK:         memref.store %{{.*}}, %arg1[%c0]
// CHECK:         scf.parallel (%{{.*}}) = (%c0{{.*}}) to (%c8
// CHECK:           memref.load %arg1
// CHECK:           memref.store %{{.*}}, %arg2
// CHECK:           memref.load %arg0
// CHECK:           memref.store %{{.*}}, %arg0
// CHECK-NOT:     scf.parallel
func.func @update_beside_next_gradient(%w: memref<4xf32>, %g: memref<4xf32>, %h: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %w[%i] : memref<4xf32>
    memref.store %v, %g[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %w[%i] : memref<4xf32>
    memref.store %f, %w[%i] : memref<4xf32>
  }
  memref.store %f, %g[%c0] : memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %g[%i] : memref<4xf32>
    memref.store %v, %h[%i] : memref<4xf32>
  }
  return
}

// CHECK-LABEL: func.func @do_not_join_reader
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @do_not_join_reader(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %x[%c0] : memref<4xf32>
    memref.store %v, %y[%i] : memref<4xf32>
  }
  return
}

// CHECK-LABEL: func.func @do_not_join_writer_after_reader
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @do_not_join_writer_after_reader(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %x[%c0] : memref<4xf32>
    memref.store %v, %y[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  return
}

// The second place begins in the last element of the first.

// CHECK-LABEL: func.func @do_not_join_overlapping_places
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @do_not_join_overlapping_places(%arena: memref<64xi8>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c12 = arith.constant 12 : index
  %x = memref.view %arena[%c0][] : memref<64xi8> to memref<4xf32>
  %y = memref.view %arena[%c12][] : memref<64xi8> to memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// CHECK-LABEL: func.func @do_not_join_unknown_place
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @do_not_join_unknown_place(%arena: memref<64xi8>, %n: index, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %x = memref.view %arena[%c0][] : memref<64xi8> to memref<4xf32>
  %y = memref.view %arena[%n][] : memref<64xi8> to memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// What the second reads, the store writes, of what the first has written.

// CHECK-LABEL: func.func @do_not_join_past_serial_op
// CHECK:         scf.parallel
// CHECK:         memref.load %arg0[%c0]
// CHECK:         memref.store %{{.*}}, %arg1[%c0]
// CHECK:         scf.parallel
func.func @do_not_join_past_serial_op(%x: memref<4xf32>, %s: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  %v = memref.load %x[%c0] : memref<4xf32>
  memref.store %v, %s[%c0] : memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %t = memref.load %s[%c0] : memref<4xf32>
    memref.store %t, %y[%i] : memref<4xf32>
  }
  return
}

func.func private @anything()

// CHECK-LABEL: func.func @do_not_join_past_call
// CHECK:         scf.parallel
// CHECK:         call @anything
// CHECK:         scf.parallel
func.func @do_not_join_past_call(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  func.call @anything() : () -> ()
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// CHECK-LABEL: func.func @do_not_join_many_tiles
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @do_not_join_many_tiles(%x: memref<8xf32>, %y: memref<8xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    memref.store %f, %x[%i] : memref<8xf32>
  }
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    memref.store %f, %y[%i] : memref<8xf32>
  }
  return
}

// The first loop loads and stores more than 2^22 elements: threads are busy enough.

// CHECK-LABEL: func.func @do_not_join_much_work
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @do_not_join_much_work(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %many = arith.constant 1048577 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    scf.for %j = %c0 to %many step %c1 {
      memref.store %f, %x[%i] : memref<4xf32>
    }
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// Two buffers of 640 KiB.

// CHECK-LABEL: func.func @do_not_join_large_stacks
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @do_not_join_large_stacks(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %t = memref.alloca() : memref<163840xf32>
    memref.store %f, %t[%i] : memref<163840xf32>
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %t = memref.alloca() : memref<163840xf32>
    memref.store %f, %t[%i] : memref<163840xf32>
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// A caller may pass one buffer twice.

// CHECK-LABEL: func.func private @do_not_join_in_private_function
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func private @do_not_join_in_private_function(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// An op that is worth it is of the first lane, which has no tiles.

// CHECK-LABEL: func.func @serial_beside_loop
// CHECK:         scf.parallel (%[[L:.*]]) = (%c0{{.*}}) to (%c8
// CHECK:           %[[FIRST:.*]] = arith.cmpi eq, %[[L]], %c0
// CHECK:           scf.if %[[FIRST]] {
// CHECK:             memref.store %{{.*}}, %arg1
// CHECK:           } else {
// CHECK:             arith.subi %[[L]], %c1
// CHECK:             scf.for
// CHECK:               memref.store %{{.*}}, %arg0
func.func @serial_beside_loop(%x: memref<4xf32>, %y: memref<32768xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c32768 = arith.constant 32768 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.for %i = %c0 to %c32768 step %c1 {
    memref.store %f, %y[%i] : memref<32768xf32>
  }
  return
}

// CHECK-LABEL: func.func @do_not_move_little_serial_work
// CHECK:         scf.parallel
// CHECK-NOT:       scf.if
// CHECK:         scf.for
func.func @do_not_move_little_serial_work(%x: memref<4xf32>, %y: memref<32768xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c32768 = arith.constant 32768 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.for %i = %c0 to %c4 step %c1 {
    memref.store %f, %y[%i] : memref<32768xf32>
  }
  return
}
