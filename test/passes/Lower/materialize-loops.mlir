// RUN: plait-opt %s -train-materialize-loops | FileCheck %s
// RUN: plait-opt %s -train-materialize-loops -eliminate-empty-tensors \
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
// CHECK:           %[[CB:.*]] = bufferization.alloc_tensor() copy(%[[B]])
// CHECK:           %[[CA:.*]] = bufferization.alloc_tensor() copy(%[[A]])
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
