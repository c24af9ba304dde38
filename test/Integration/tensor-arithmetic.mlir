// Ops of arith and math on tensors become linalg: outside of updates, in the
// region of one, and where the optimizer itself is written so. Bufferization
// knows nothing of them, and failed.

// DEFINE: %{policy} = backward
// DEFINE: %{buffers} = plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{policy=%{policy}})' --mlir-print-ir-before=train-finalize-abi -o /dev/null
// RUN: %{buffers} 2>&1 | FileCheck %s --check-prefixes=IN-PLACE,FUSED --implicit-check-not=memref.copy
// REDEFINE: %{policy} = baseline
// RUN: %{buffers} 2>&1 | FileCheck %s --check-prefix=IN-PLACE --implicit-check-not=memref.copy
// REDEFINE: %{policy} = forward
// RUN: %{buffers} 2>&1 | FileCheck %s --check-prefix=IN-PLACE

// IN-PLACE: func.func @step(
// FUSED-NOT:  memref.alloc() {{.*}}memref<16x8xf32>
// FUSED:      scf.forall
// FUSED:        linalg.matmul
// FUSED:        math.exp
// FUSED-NOT:  memref.alloc() {{.*}}memref<16x8xf32>
// IN-PLACE:   return %{{.*}}, %arg0, %arg1, %arg2

// RUN: rm -rf %t && mkdir %t
// RUN: %python -c "import numpy as np; from safetensors.numpy import save_file; r = np.random.default_rng(0); \
// RUN:   save_file(dict(w=r.uniform(-1, 1, (16, 8)).astype('f'), s=np.array(2, 'f'), n=np.array([3, 4], 'i4'), \
// RUN:   x=r.uniform(-1, 1, (4, 16)).astype('f'), y=r.uniform(-1, 1, (4, 8)).astype('f')), '%t/in.safetensors')"
// DEFINE: %{schedule} = baseline
// DEFINE: %{train} = plait-run %s --inputs=%t/in.safetensors -n 1 --results=%t/%{schedule}.safetensors --schedule=%{schedule}
// RUN: %{train}
// REDEFINE: %{schedule} = backward
// RUN: %{train}
// REDEFINE: %{schedule} = forward
// RUN: %{train}
// f32 rounds at 6e-8; the largest value is below 10.
// RUN: %python %S/Inputs/check.py %t/in.safetensors %t/baseline.safetensors %t/backward.safetensors %t/forward.safetensors -- \
// RUN:   "np.abs(b['w'] - (a['w'] - 0.125 * np.exp(a['x'].astype('d').T @ a['y']))).max() < 5e-6" \
// RUN:   "abs(b['s'] - (2 - 0.5 * np.sqrt(2.0))) < 1e-6" \
// RUN:   "b['n'].tolist() == [4, 5]" \
// RUN:   "same(b, c)" \
// RUN:   "same(b, {k: v for k, v in d.items() if not k.startswith('pending.')})"

func.func @step(
    %w: tensor<16x8xf32> {train.role = #train.param<"w">}, %s: tensor<f32> {train.role = #train.param<"s">},
    %n: tensor<2xi32> {train.role = #train.state<"", "n">},
    %x: tensor<4x16xf32> {train.role = #train.input<"x">}, %y: tensor<4x8xf32> {train.role = #train.input<"y">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<16x8xf32> {train.role = #train.next<"w">},
        tensor<f32> {train.role = #train.next<"s">}, tensor<2xi32> {train.role = #train.next<"", "n">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16x8xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<16x8xf32>) -> tensor<16x8xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m,n,k)->(k,m)>, affine_map<(m,n,k)->(k,n)>, affine_map<(m,n,k)->(m,n)>]
      ins(%x, %y : tensor<4x16xf32>, tensor<4x8xf32>) outs(%z : tensor<16x8xf32>) -> tensor<16x8xf32>
  // Outside of an update.
  %g = math.exp %dw : tensor<16x8xf32>
  // In one.
  %w1 = train.update "sgd" ins(%g : tensor<16x8xf32>) outs(%w : tensor<16x8xf32>) {
  ^bb0(%gt: tensor<16x8xf32>, %wt: tensor<16x8xf32>):
    %lr = arith.constant dense<0.125> : tensor<16x8xf32>
    %d = arith.mulf %gt, %lr : tensor<16x8xf32>
    %next = arith.subf %wt, %d : tensor<16x8xf32>
    train.yield %next : tensor<16x8xf32>
  } : tensor<16x8xf32>
  // One that is not written as an update, of a parameter of rank 0.
  %half = arith.constant dense<0.5> : tensor<f32>
  %root = math.sqrt %s : tensor<f32>
  %ds = arith.mulf %root, %half : tensor<f32>
  %s1 = arith.subf %s, %ds : tensor<f32>
  // A counter.
  %one = arith.constant dense<1> : tensor<2xi32>
  %n1 = arith.addi %n, %one : tensor<2xi32>
  return %root, %w1, %s1, %n1 : tensor<f32>, tensor<16x8xf32>, tensor<f32>, tensor<2xi32>
}
