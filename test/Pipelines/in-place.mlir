// The whole way to buffers: backward stores no gradient, and copies nothing.
// The last CSE comes before train-localize-inits; the second half shows why.

// DEFINE: %{bufferize} = train-materialize-next,eliminate-empty-tensors,one-shot-bufferize{bufferize-function-boundaries=1 function-boundary-type-conversion=identity-layout-map allow-return-allocs-from-loops=1},cse,canonicalize
// DEFINE: %{policy} = backward
// DEFINE: %{late} = canonicalize
// DEFINE: %{run} = plait-opt %examples/mlp.mlir -pass-pipeline='builtin.module(plait-schedule{policy=%{policy}},train-localize-inits,train-fuse-clusters,train-parallelize,canonicalize,train-localize-inits,%{late},%{bufferize},train-finalize-abi)'

// RUN: %{run} | FileCheck %s --check-prefix=BACKWARD \
// RUN:   --implicit-check-not=memref.copy --implicit-check-not=bufferization. --implicit-check-not=train.role
// REDEFINE: %{policy} = baseline
// RUN: %{run} | FileCheck %s --check-prefix=STORED \
// RUN:   --implicit-check-not=memref.copy --implicit-check-not=bufferization. --implicit-check-not=train.role
// REDEFINE: %{policy} = forward
// RUN: %{run} | FileCheck %s --check-prefix=FORWARD \
// RUN:   --implicit-check-not=memref.copy --implicit-check-not=bufferization. --implicit-check-not=train.role
// REDEFINE: %{policy} = backward
// REDEFINE: %{late} = cse
// RUN: %{run} | FileCheck %s --check-prefix=DAMAGE

// BACKWARD-LABEL: func.func @step(
// BACKWARD-NOT:     memref.alloc{{.*}}memref<512x784xf32>
// BACKWARD-NOT:     memref.alloc{{.*}}memref<10x512xf32>
// BACKWARD-NOT:     memref.alloc{{.*}}memref<512xf32>
// BACKWARD-NOT:     memref.alloc{{.*}}memref<10xf32>
// BACKWARD:         scf.forall
// BACKWARD-NOT:     memref.alloc{{.*}}memref<512x784xf32>
// BACKWARD-NOT:     memref.alloc{{.*}}memref<10x512xf32>
// BACKWARD:         return

// The parameter's arguments are what each loop writes: no result is left.
// BACKWARD-NOT:     return %

// STORED-LABEL: func.func @step(
// STORED-DAG:     memref.alloc{{.*}}memref<10x512xf32>
// STORED-DAG:     memref.alloc{{.*}}memref<512x784xf32>
// STORED:         return

// What waits lies in buffers of the caller's.
// FORWARD-LABEL: func.func @step_first(
// FORWARD-NOT:     memref.alloc{{.*}}memref<512x784xf32>
// FORWARD-LABEL: func.func @step_flush(
// FORWARD-NOT:     memref.alloc{{.*}}memref<512x784xf32>
// FORWARD-LABEL: func.func @step(
// FORWARD-NOT:     memref.alloc{{.*}}memref<512x784xf32>
// FORWARD:         return

// CSE after train-localize-inits shares the zeros of two products of one shape:
// a full-size buffer is zeroed, and copied.
// DAMAGE:      func.func @step(
// DAMAGE:      linalg.fill {{.*}} outs(%[[ZERO:.*]] : memref<32x512xf32>)
// DAMAGE:      memref.copy %[[ZERO]], %{{.*}} : memref<32x512xf32> to memref<32x512xf32>
