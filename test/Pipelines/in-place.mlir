// The whole way to buffers, on the pipeline that plait-run runs: backward stores
// no gradient, and copies nothing. train-finalize-abi fails where a next value is
// not in the buffer of its argument.

// DEFINE: %{policy} = backward
// DEFINE: %{buffers} = plait-opt %examples/mlp.mlir --pass-pipeline='builtin.module(plait-to-llvm{policy=%{policy}})' --mlir-print-ir-after=train-finalize-abi -o /dev/null 2>&1
// DEFINE: %{only} = FileCheck %s --implicit-check-not=bufferization. --implicit-check-not=train.role
// DEFINE: %{check} = %{only} --implicit-check-not=memref.copy

// RUN: %{buffers} | %{check} --check-prefix=BACKWARD --implicit-check-not='memref.alloc{{.*}}memref<{{512x784|10x512|512|10}}xf32>'
// REDEFINE: %{policy} = baseline
// RUN: %{buffers} | %{check} --check-prefix=STORED
// REDEFINE: %{policy} = forward
// RUN: %{buffers} | %{only} --check-prefix=FORWARD --implicit-check-not='memref.alloc{{.*}}memref<512x784xf32>'

// The roots are those of the updates: there are four, and each runs once.
// BACKWARD-LABEL: func.func @step(
// BACKWARD-COUNT-4: math.sqrt {{.*}} : f32
// BACKWARD-NOT:     math.sqrt {{.*}} : f32
// The parameter's arguments are what each loop writes: no result is left.
// BACKWARD:         return{{$}}

// STORED-LABEL: func.func @step(
// STORED-DAG:     memref.alloc{{.*}}memref<10x512xf32>
// STORED-DAG:     memref.alloc{{.*}}memref<512x784xf32>
// STORED:         return

// What waits lies in buffers of the caller's: the large gradient's factors, of
// which one is the input, and copied; the small one itself.
// FORWARD-LABEL: func.func @step_first(
// FORWARD-NOT:     memref.copy
// FORWARD:         memref.copy %{{.*}} : memref<32x784xf32> to memref<32x784xf32>
// FORWARD-NOT:     memref.copy
// FORWARD-LABEL: func.func @step_flush(
// FORWARD-NOT:     memref.copy
// FORWARD-LABEL: func.func @step(
// FORWARD-COUNT-4: math.sqrt {{.*}} : f32
// FORWARD-NOT:     math.sqrt {{.*}} : f32
// FORWARD-NOT:     memref.copy
// FORWARD:         memref.copy %{{.*}} : memref<32x784xf32> to memref<32x784xf32>
// FORWARD-NOT:     memref.copy
// FORWARD:         return

// CSE after train-localize-inits, which this pipeline has and the real one does
// not, shares the zeros of two products of one shape: a full-size buffer is
// zeroed, and copied.
// RUN: plait-opt %examples/mlp.mlir -pass-pipeline='builtin.module(plait-schedule,train-localize-inits,train-fuse-clusters,train-parallelize,canonicalize,train-localize-inits,cse,train-materialize-next,eliminate-empty-tensors,one-shot-bufferize{bufferize-function-boundaries=1 function-boundary-type-conversion=identity-layout-map})' \
// RUN:   | FileCheck %s --check-prefix=DAMAGE
// DAMAGE:      func.func @step(
// DAMAGE:      linalg.fill {{.*}} outs(%[[ZERO:.*]] : memref<32x512xf32>)
// DAMAGE:      memref.copy %[[ZERO]], %{{.*}} : memref<32x512xf32> to memref<32x512xf32>
