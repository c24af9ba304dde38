// RUN: plait-opt %s -train-materialize-regions | FileCheck %s
// RUN: plait-opt %s -train-materialize-regions -eliminate-empty-tensors \
// RUN:   -one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" -cse -canonicalize | FileCheck %s --check-prefix=BUFFERS

// Once, the product went to a buffer of the iteration's own, which the arena
// made one place for all iterations: the next one overwrote what it still had
// to store.

// CHECK-LABEL: func.func @read_after_its_next_value
// CHECK:         scf.for {{.*}} iter_args(%[[C:.*]] = %{{.*}}, %[[S:.*]] = %{{.*}})
// CHECK:           %[[N:.*]] = linalg.mul
// CHECK:           %[[I:.*]] = tensor.insert_slice %[[C]] into %[[S]]
// CHECK:           %[[T:.*]] = bufferization.materialize_in_destination %[[N]] in %[[C]]
// CHECK:           scf.yield %[[T]], %[[I]]

// BUFFERS-LABEL: func.func @read_after_its_next_value
// BUFFERS:         scf.for
// BUFFERS-NOT:     iter_args
// BUFFERS:           linalg.mul {{.*}} outs(%[[N:.*]] : memref<2xf32>)
// BUFFERS:           memref.copy %[[C:.*]], %{{.*}} : memref<2xf32> to memref<2xf32, strided<[1], offset: ?>>
// BUFFERS:           memref.copy %[[N]], %[[C]]
func.func @read_after_its_next_value(%w: tensor<2xf32>) -> (tensor<2xf32>, tensor<3x2xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %stack = tensor.empty() : tensor<3x2xf32>
  %r:2 = scf.for %i = %c0 to %c3 step %c1 iter_args(%c = %w, %s = %stack) -> (tensor<2xf32>, tensor<3x2xf32>) {
    %e = tensor.empty() : tensor<2xf32>
    %n = linalg.mul ins(%c, %w : tensor<2xf32>, tensor<2xf32>) outs(%e : tensor<2xf32>) -> tensor<2xf32>
    %in = tensor.insert_slice %c into %s[%i, 0] [1, 2] [1, 1] : tensor<2xf32> into tensor<3x2xf32>
    scf.yield %n, %in : tensor<2xf32>, tensor<3x2xf32>
  }
  return %r#0, %r#1 : tensor<2xf32>, tensor<3x2xf32>
}

// What becomes another carried value is copied before any is written.

// CHECK-LABEL: func.func @swap
// CHECK:         scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}}, %[[B:.*]] = %{{.*}})
// CHECK-DAG:       %[[CB:.*]] = bufferization.alloc_tensor() copy(%[[B]])
// CHECK-DAG:       %[[CA:.*]] = bufferization.alloc_tensor() copy(%[[A]])
// CHECK:           bufferization.materialize_in_destination %[[CB]] in %[[A]]
// CHECK:           bufferization.materialize_in_destination %[[CA]] in %[[B]]

// BUFFERS-LABEL: func.func @swap
func.func @swap(%x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r:2 = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x, %b = %y) -> (tensor<2xf32>, tensor<2xf32>) {
    scf.yield %b, %a : tensor<2xf32>, tensor<2xf32>
  }
  return %r#0, %r#1 : tensor<2xf32>, tensor<2xf32>
}

// What is carried twice cannot be in both buffers.

// CHECK-LABEL: func.func @twice
// CHECK:         scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}}, %[[B:.*]] = %{{.*}})
// CHECK:           %[[N:.*]] = linalg.exp
// CHECK-NEXT:      %[[C:.*]] = bufferization.alloc_tensor() copy(%[[N]])
// CHECK-NEXT:      bufferization.materialize_in_destination %[[N]] in %[[A]]
// CHECK-NEXT:      bufferization.materialize_in_destination %[[C]] in %[[B]]

// BUFFERS-LABEL: func.func @twice
func.func @twice(%x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r:2 = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x, %b = %y) -> (tensor<2xf32>, tensor<2xf32>) {
    %e = tensor.empty() : tensor<2xf32>
    %n = linalg.exp ins(%b : tensor<2xf32>) outs(%e : tensor<2xf32>) -> tensor<2xf32>
    scf.yield %n, %n : tensor<2xf32>, tensor<2xf32>
  }
  return %r#0, %r#1 : tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: func.func @while
// CHECK:         } do {
// CHECK-NEXT:    ^bb0(%[[C:.*]]: tensor<f32>):
// CHECK:           %[[N:.*]] = linalg.exp
// CHECK:           %[[T:.*]] = bufferization.materialize_in_destination %[[N]] in %[[C]]
// CHECK:           scf.yield %[[T]]

// BUFFERS-LABEL: func.func @while
// BUFFERS:         linalg.exp ins(%[[B:.*]] : memref<f32>) outs(%[[B]] : memref<f32>)
func.func @while(%x: tensor<f32>) -> tensor<f32> {
  %limit = arith.constant 3.0 : f32
  %r = scf.while (%c = %x) : (tensor<f32>) -> tensor<f32> {
    %v = tensor.extract %c[] : tensor<f32>
    %small = arith.cmpf olt, %v, %limit : f32
    scf.condition(%small) %c : tensor<f32>
  } do {
  ^bb0(%c: tensor<f32>):
    %e = tensor.empty() : tensor<f32>
    %n = linalg.exp ins(%c : tensor<f32>) outs(%e : tensor<f32>) -> tensor<f32>
    scf.yield %n : tensor<f32>
  }
  return %r : tensor<f32>
}

// An updated version of the carried value is in its buffer anyway.

// CHECK-LABEL: func.func @do_not_write_an_updated_version
// CHECK-NOT:     materialize_in_destination
// BUFFERS-LABEL: func.func @do_not_write_an_updated_version
func.func @do_not_write_an_updated_version(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %f = arith.constant 2.0 : f32
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%c = %x) -> (tensor<4xf32>) {
    %inner = scf.for %j = %c0 to %c4 step %c1 iter_args(%d = %c) -> (tensor<4xf32>) {
      %n = tensor.insert %f into %d[%j] : tensor<4xf32>
      %fill = linalg.fill ins(%f : f32) outs(%n : tensor<4xf32>) -> tensor<4xf32>
      scf.yield %fill : tensor<4xf32>
    }
    scf.yield %inner : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}

// Once, both results of the branch were taken to share a buffer with %x and %c,
// through the tensor it yields twice, and the loop to write what it reads.

// CHECK-LABEL: func.func @yield_twice
// CHECK:         scf.if
// CHECK-NEXT:      %[[X:.*]] = bufferization.alloc_tensor() copy(%{{.*}})
// CHECK-NEXT:      %[[C:.*]] = bufferization.alloc_tensor() copy(%{{.*}})
// CHECK-NEXT:      scf.yield %[[X]], %[[C]]
// CHECK:         } else {
// CHECK:           %[[Z:.*]] = linalg.fill
// CHECK-NEXT:      %[[Z2:.*]] = bufferization.alloc_tensor() copy(%[[Z]])
// CHECK-NEXT:      scf.yield %[[Z]], %[[Z2]]

// BUFFERS-LABEL: func.func @yield_twice
func.func @yield_twice(%p: i1, %x: tensor<2xf32> {bufferization.writable = false}, %w: tensor<2xf32>) -> (tensor<2xf32>, tensor<3x2xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %f0 = arith.constant 0.0 : f32
  %stack = tensor.empty() : tensor<3x2xf32>
  %r:2 = scf.for %i = %c0 to %c3 step %c1 iter_args(%c = %w, %s = %stack) -> (tensor<2xf32>, tensor<3x2xf32>) {
    %y:2 = scf.if %p -> (tensor<2xf32>, tensor<2xf32>) {
      scf.yield %x, %c : tensor<2xf32>, tensor<2xf32>
    } else {
      %e = tensor.empty() : tensor<2xf32>
      %z = linalg.fill ins(%f0 : f32) outs(%e : tensor<2xf32>) -> tensor<2xf32>
      scf.yield %z, %z : tensor<2xf32>, tensor<2xf32>
    }
    %in = tensor.insert_slice %y#1 into %s[%i, 0] [1, 2] [1, 1] : tensor<2xf32> into tensor<3x2xf32>
    %e1 = tensor.empty() : tensor<2xf32>
    %n = linalg.add ins(%c, %y#0 : tensor<2xf32>, tensor<2xf32>) outs(%e1 : tensor<2xf32>) -> tensor<2xf32>
    scf.yield %n, %in : tensor<2xf32>, tensor<3x2xf32>
  }
  return %r#0, %r#1 : tensor<2xf32>, tensor<3x2xf32>
}

// A choice between tensors is a branch.

// CHECK-LABEL: func.func @select
// CHECK-SAME:    %[[P:[^ ]*]]: i1, %[[X:[^ ]*]]: tensor<2xf32>, %[[Y:[^ ]*]]: tensor<2xf32>
// CHECK-NEXT:    %[[R:.*]] = scf.if %[[P]]
// CHECK-NEXT:      %[[XC:.*]] = bufferization.alloc_tensor() copy(%[[X]])
// CHECK-NEXT:      scf.yield %[[XC]]
// CHECK-NEXT:    } else {
// CHECK-NEXT:      %[[YC:.*]] = bufferization.alloc_tensor() copy(%[[Y]])
// CHECK-NEXT:      scf.yield %[[YC]]
// CHECK:         return %[[R]]
// BUFFERS-LABEL: func.func @select
func.func @select(%p: i1, %x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xf32> {
  %r = arith.select %p, %x, %y : tensor<2xf32>
  return %r : tensor<2xf32>
}

// CHECK-LABEL: func.func @do_not_copy_what_stays_in_place
// CHECK:         } else {
// CHECK-NEXT:      scf.yield %{{.*}} : tensor<2xf32>
// BUFFERS-LABEL: func.func @do_not_copy_what_stays_in_place
// BUFFERS-NOT:     memref.copy
// BUFFERS-NOT:     memref.alloc
// BUFFERS:         return
func.func @do_not_copy_what_stays_in_place(%p: i1, %w: tensor<2xf32>) -> tensor<2xf32> {
  %r = scf.if %p -> (tensor<2xf32>) {
    %n = linalg.exp ins(%w : tensor<2xf32>) outs(%w : tensor<2xf32>) -> tensor<2xf32>
    scf.yield %n : tensor<2xf32>
  } else {
    scf.yield %w : tensor<2xf32>
  }
  %next = bufferization.materialize_in_destination %r in %w : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %next : tensor<2xf32>
}

// CHECK-LABEL: func.func @do_not_branch_on_an_elementwise_select
// CHECK-NEXT:    arith.select
// BUFFERS-LABEL: func.func @do_not_branch_on_an_elementwise_select
func.func @do_not_branch_on_an_elementwise_select(%p: i1, %x: f32, %y: f32) -> f32 {
  %r = arith.select %p, %x, %y : f32
  return %r : f32
}

// What a loop begins with is read after it as well: the buffer of the result
// must not be handed to the product, which would be overwritten.

// CHECK-LABEL: func.func @init_read_later
// CHECK:         %[[P:.*]] = linalg.mul
// CHECK:         %[[I:.*]] = bufferization.alloc_tensor() copy(%[[P]])
// CHECK:         scf.while (%{{.*}} = %[[I]])
// CHECK:         return %[[P]], %{{.*}}

// BUFFERS-LABEL: func.func @init_read_later
// BUFFERS-SAME:    %{{.*}}: i1, %[[W:.*]]: memref<2xf32
// BUFFERS:         linalg.mul {{.*}} outs(%[[P:.*]] : memref<2xf32>)
// BUFFERS-NOT:     outs(%[[W]]
// BUFFERS:         return %[[P]],
func.func @init_read_later(%more: i1, %w: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %e = tensor.empty() : tensor<2xf32>
  %p = linalg.mul ins(%w, %w : tensor<2xf32>, tensor<2xf32>) outs(%e : tensor<2xf32>) -> tensor<2xf32>
  %r = scf.while (%a = %p) : (tensor<2xf32>) -> tensor<2xf32> {
    scf.condition(%more) %a : tensor<2xf32>
  } do {
  ^bb0(%b: tensor<2xf32>):
    %x = tensor.empty() : tensor<2xf32>
    %s = linalg.add ins(%b, %b : tensor<2xf32>, tensor<2xf32>) outs(%x : tensor<2xf32>) -> tensor<2xf32>
    scf.yield %s : tensor<2xf32>
  }
  %next = bufferization.materialize_in_destination %r in %w : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %p, %next : tensor<2xf32>, tensor<2xf32>
}

// Read before the loop only: the loop may have it.

// CHECK-LABEL: func.func @do_not_copy_init_read_before
// CHECK-NOT:     alloc_tensor
// CHECK:         return
func.func @do_not_copy_init_read_before(%w: tensor<2xf32>, %e: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %p = linalg.mul ins(%w, %w : tensor<2xf32>, tensor<2xf32>) outs(%e : tensor<2xf32>) -> tensor<2xf32>
  %f = tensor.empty() : tensor<2xf32>
  %q = linalg.mul ins(%p, %w : tensor<2xf32>, tensor<2xf32>) outs(%f : tensor<2xf32>) -> tensor<2xf32>
  %r = scf.for %i = %c0 to %c1 step %c1 iter_args(%a = %p) -> tensor<2xf32> {
    %s = linalg.add ins(%w, %w : tensor<2xf32>, tensor<2xf32>) outs(%a : tensor<2xf32>) -> tensor<2xf32>
    scf.yield %s : tensor<2xf32>
  }
  return %q, %r : tensor<2xf32>, tensor<2xf32>
}
