// RUN: plait-opt %s -train-side-by-side=lanes=8 -split-input-file | FileCheck %s

// Ways in which two loops touch the same memory without sharing a value, and
// what nobody can know. The loops stay one after the other.

// Halves of one argument do not overlap, but only places of the arena are
// compared by bytes.

// CHECK-LABEL: func.func @do_not_join_views_of_one_argument
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_views_of_one_argument(%x: memref<8xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %low = memref.subview %x[0] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1]>>
  %high = memref.subview %x[4] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: 4>>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %low[%i] : memref<4xf32, strided<[1]>>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %high[%i] : memref<4xf32, strided<[1], offset: 4>>
  }
  return
}

// -----

// CHECK-LABEL: func.func @do_not_join_another_shape_of_one_argument
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_another_shape_of_one_argument(%x: memref<2x2xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c2) step (%c1) {
    memref.store %f, %x[%i, %i] : memref<2x2xf32>
  }
  %flat = memref.collapse_shape %x [[0, 1]] : memref<2x2xf32> into memref<4xf32>
  %tall = memref.expand_shape %flat [[0, 1]] output_shape [4, 1] : memref<4xf32> into memref<4x1xf32>
  %any = memref.cast %tall : memref<4x1xf32> to memref<?x1xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %any[%i, %c0] : memref<?x1xf32>
    memref.store %v, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// A part of a place of the arena, which another place meets.

// CHECK-LABEL: func.func @do_not_join_part_of_overlapping_place
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_part_of_overlapping_place(%arena: memref<64xi8>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %x = memref.view %arena[%c0][] : memref<64xi8> to memref<8xf32>
  %part = memref.subview %x[4] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: 4>>
  %y = memref.view %arena[%c16][] : memref<64xi8> to memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %part[%i] : memref<4xf32, strided<[1], offset: 4>>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// A place that is used again by liveness: what the first loop reads, the second,
// a buffer of another type, overwrites.

// CHECK-LABEL: func.func @do_not_join_writer_of_reused_place
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_writer_of_reused_place(%arena: memref<64xi8>, %y: memref<4xf32>, %l: i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %x = memref.view %arena[%c0][] : memref<64xi8> to memref<4xf32>
  %z = memref.view %arena[%c0][] : memref<64xi8> to memref<2xi64>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %x[%i] : memref<4xf32>
    memref.store %v, %y[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c2) step (%c1) {
    memref.store %l, %z[%i] : memref<2xi64>
  }
  return
}

// -----

// A view that says itself where it begins reaches beyond its place.

// CHECK-LABEL: func.func @do_not_join_view_beyond_its_place
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_view_beyond_its_place(%arena: memref<64xi8>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %x = memref.view %arena[%c0][] : memref<64xi8> to memref<4xf32>
  %y = memref.view %arena[%c16][] : memref<64xi8> to memref<4xf32>
  %beyond = memref.reinterpret_cast %x to offset: [4], sizes: [4], strides: [1]
      : memref<4xf32> to memref<4xf32, strided<[1], offset: 4>>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %beyond[%i] : memref<4xf32, strided<[1], offset: 4>>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// Views of a view count from that one.

// CHECK-LABEL: func.func @do_not_join_view_of_view
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_view_of_view(%arena: memref<64xi8>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %part = memref.view %arena[%c16][] : memref<64xi8> to memref<16xi8>
  %x = memref.view %part[%c0][] : memref<16xi8> to memref<4xf32>
  %y = memref.view %arena[%c16][] : memref<64xi8> to memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// A workspace that two products share.

// CHECK-LABEL: func.func @do_not_join_users_of_one_workspace
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_users_of_one_workspace(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %sums = memref.alloca() : memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %sums[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %sums[%c0] : memref<4xf32>
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// A workspace of its own is each loop's, and each thread's.

// CHECK-LABEL: func.func @join_with_workspaces_of_their_own
// CHECK:         scf.parallel
// CHECK:           memref.alloca
// CHECK:           memref.alloca
// CHECK-NOT:     scf.parallel
func.func @join_with_workspaces_of_their_own(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %sums = memref.alloca() : memref<4xf32>
    memref.store %f, %sums[%c0] : memref<4xf32>
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %sums = memref.alloca() : memref<4xf32>
    memref.store %f, %sums[%c0] : memref<4xf32>
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// CHECK-LABEL: func.func @do_not_join_users_of_a_global
// CHECK-COUNT-2: scf.parallel
memref.global "private" @table : memref<4xf32>
func.func @do_not_join_users_of_a_global(%y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %x = memref.get_global @table : memref<4xf32>
  %same = memref.get_global @table : memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %same[%i] : memref<4xf32>
    memref.store %v, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// CHECK-LABEL: func.func @do_not_join_one_of_two_arguments
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_one_of_two_arguments(%x: memref<4xf32>, %y: memref<4xf32>, %c: i1, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %either = arith.select %c, %x, %y : memref<4xf32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %either[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// What a loop carries may be either of two.

// CHECK-LABEL: func.func @do_not_join_carried_memref
// CHECK:         scf.for
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @do_not_join_carried_memref(%x: memref<4xf32>, %y: memref<4xf32>, %z: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %x, %b = %y) -> (memref<4xf32>, memref<4xf32>) {
    memref.store %f, %a[%i] : memref<4xf32>
    scf.yield %b, %a : memref<4xf32>, memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %r#0[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %z[%i] : memref<4xf32>
  }
  return
}

// -----

func.func private @anything(index)

// CHECK-LABEL: func.func @do_not_join_loop_that_calls
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_loop_that_calls(%x: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    func.call @anything(%i) : (index) -> ()
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  return
}

// -----

// @caller passes one buffer twice.

// CHECK-LABEL: func.func @do_not_join_in_called_function
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_in_called_function(%x: memref<4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %y[%c0] : memref<4xf32>
    memref.store %v, %y[%i] : memref<4xf32>
  }
  return
}
func.func @caller(%x: memref<4xf32>, %f: f32) {
  call @do_not_join_in_called_function(%x, %x, %f) : (memref<4xf32>, memref<4xf32>, f32) -> ()
  return
}

// -----

// A scalar that the second loop takes from memory stays before it.

// CHECK-LABEL: func.func @do_not_join_user_of_loaded_scalar
// CHECK:         scf.parallel
// CHECK:         memref.load %arg1
// CHECK:         scf.parallel
func.func @do_not_join_user_of_loaded_scalar(%x: memref<4xf32>, %scale: memref<f32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  %s = memref.load %scale[] : memref<f32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %s, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// A loop with a result, and one whose end is not known.

// CHECK-LABEL: func.func @do_not_join_sum
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_sum(%x: memref<4xf32>, %y: memref<f32>, %z: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %sum = scf.parallel (%i) = (%c0) to (%c4) step (%c1) init (%f) -> f32 {
    %v = memref.load %x[%i] : memref<4xf32>
    scf.reduce(%v : f32) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      scf.reduce.return %s : f32
    }
  }
  memref.store %sum, %y[] : memref<f32>
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %z[%i] : memref<4xf32>
  }
  return
}

// -----

// CHECK-LABEL: func.func @do_not_join_unknown_count
// CHECK-COUNT-2: scf.parallel
func.func @do_not_join_unknown_count(%x: memref<4xf32>, %y: memref<4xf32>, %n: index, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// CHECK-LABEL: func.func @do_not_join_nested
// CHECK-COUNT-3: scf.parallel
func.func @do_not_join_nested(%x: memref<4x4xf32>, %y: memref<4xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    scf.parallel (%j) = (%c0) to (%c4) step (%c1) {
      memref.store %f, %x[%i, %j] : memref<4x4xf32>
    }
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %y[%i] : memref<4xf32>
  }
  return
}

// -----

// Serial work whose buffers do not fit on a worker's stack beside the loop's
// stays on the main thread's.

// CHECK-LABEL: func.func @do_not_move_serial_with_large_stack
// CHECK:         scf.parallel
// CHECK-NOT:       scf.if
// CHECK:         }
// CHECK-NOT:     scf.if
func.func @do_not_move_serial_with_large_stack(%x: memref<4xf32>, %y: memref<32768xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c32768 = arith.constant 32768 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.for %i = %c0 to %c32768 step %c1 {
    %t = memref.alloca() : memref<262145xf32>
    memref.store %f, %t[%i] : memref<262145xf32>
    memref.store %f, %y[%i] : memref<32768xf32>
  }
  return
}

// -----

// What both only read, and what is only asked for ahead, is no reason.

// CHECK-LABEL: func.func @join_readers
// CHECK:         scf.parallel
// CHECK:           memref.store %{{.*}}, %arg1
// CHECK:           memref.store %{{.*}}, %arg2
// CHECK-NOT:     scf.parallel
func.func @join_readers(%x: memref<4xf32>, %y: memref<4xf32>, %z: memref<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    memref.prefetch %x[%c0], read, locality<3>, data : memref<4xf32>
    %v = memref.load %x[%i] : memref<4xf32>
    memref.store %v, %y[%i] : memref<4xf32>
  }
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    %v = memref.load %x[%i] : memref<4xf32>
    memref.store %v, %z[%i] : memref<4xf32>
  }
  return
}
