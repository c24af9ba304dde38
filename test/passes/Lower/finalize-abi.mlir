// RUN: plait-opt %s -split-input-file -verify-diagnostics -train-finalize-abi | FileCheck %s

// Carried results disappear; a buffer made for an output becomes the caller's;
// an output that is an argument's buffer is copied. Order: arguments as they
// were, then outputs as they were.

// CHECK-LABEL: func.func @step
// CHECK-SAME:    (%[[W:[^ ]*]]: memref<4xf32>, %[[X:[^ ]*]]: memref<4xf32>, %[[OUT:[^ ]*]]: memref<4xf32>, %[[SAME:[^ ]*]]: memref<4xf32>, %[[LOSS:[^ ]*]]: memref<f32>)
// CHECK-SAME:    attributes {plait.gradient_bytes = {w = 16 : i64}, train.step}
// CHECK-NOT:     memref.alloc
// CHECK:         linalg.exp ins(%[[X]] : memref<4xf32>) outs(%[[OUT]]
// CHECK:         linalg.exp ins(%[[OUT]] : memref<4xf32>) outs(%[[W]]
// CHECK:         linalg.fill {{.*}} outs(%[[LOSS]]
// CHECK:         memref.copy %[[X]], %[[SAME]]
// CHECK-NEXT:    return{{$}}
func.func @step(
    %w: memref<4xf32> {train.role = #train.param<"w">},
    %x: memref<4xf32> {train.role = #train.input<"x">, bufferization.writable = false})
   -> (memref<4xf32> {train.role = #train.output<"out">}, memref<4xf32> {train.role = #train.output<"same">},
       memref<4xf32> {train.role = #train.next<"w">}, memref<f32> {train.role = #train.output<"loss">})
   attributes {train.step} {
  %a = memref.alloc() : memref<4xf32>
  %l = memref.alloc() : memref<f32>
  linalg.exp ins(%x : memref<4xf32>) outs(%a : memref<4xf32>)
  linalg.exp ins(%a : memref<4xf32>) outs(%w : memref<4xf32>)
  %c = arith.constant 0.0 : f32
  linalg.fill ins(%c : f32) outs(%l : memref<f32>)
  return %a, %x, %w, %l : memref<4xf32>, memref<4xf32>, memref<4xf32>, memref<f32>
}

// -----

// A buffer returned twice cannot be two buffers of the caller's.

// CHECK-LABEL: func.func @returned_twice
// CHECK-SAME:    (%[[A:[^ ]*]]: memref<4xf32>, %[[B:[^ ]*]]: memref<4xf32>)
// CHECK:         %[[T:.*]] = memref.alloc
// CHECK-DAG:     memref.copy %[[T]], %[[A]]
// CHECK-DAG:     memref.copy %[[T]], %[[B]]
func.func @returned_twice() -> (memref<4xf32>, memref<4xf32>) attributes {train.step} {
  %a = memref.alloc() : memref<4xf32>
  return %a, %a : memref<4xf32>, memref<4xf32>
}

// -----

// expected-error@+1 {{result #0 (#train.next<"w">) is not its argument's buffer; run train-materialize-next before bufferization}}
func.func @do_not_finalize_fresh_buffer(%w: memref<4xf32> {train.role = #train.param<"w">})
    -> (memref<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %a = memref.alloc() : memref<4xf32>
  return %a : memref<4xf32>
}

// -----

// expected-error@+1 {{@do_not_finalize_called_step is a training step, and @caller calls it}}
func.func @do_not_finalize_called_step(%w: memref<4xf32> {train.role = #train.param<"w">})
    -> (memref<4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  return %w : memref<4xf32>
}
func.func @caller(%w: memref<4xf32>) -> memref<4xf32> {
  // expected-note@+1 {{called here; move the body of @do_not_finalize_called_step here instead}}
  %r = call @do_not_finalize_called_step(%w) : (memref<4xf32>) -> memref<4xf32>
  return %r : memref<4xf32>
}

// -----

// CHECK-LABEL: func.func @do_not_finalize_what_is_no_step
// CHECK-SAME:    -> memref<4xf32>
func.func @do_not_finalize_what_is_no_step(%w: memref<4xf32>) -> memref<4xf32> {
  return %w : memref<4xf32>
}
