// Two parameters that are pulled to each other: each gradient reads both. No
// schedule copies a parameter, and all give the same bits.

// DEFINE: %{policy} = baseline
// DEFINE: %{buffers} = plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{policy=%{policy}})' --mlir-print-ir-before=train-finalize-abi -o /dev/null 2>&1
// RUN: %{buffers} | FileCheck %s --implicit-check-not=memref.copy
// REDEFINE: %{policy} = backward
// RUN: %{buffers} | FileCheck %s --implicit-check-not=memref.copy
// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-schedule{policy=backward})' --remarks-filter=train-backward-fusion --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: plait-run %s --random-inputs -n 20 --compare | FileCheck %s --check-prefix=BITS
// REDEFINE: %{policy} = forward
// RUN: %{buffers} | FileCheck %s --implicit-check-not=memref.copy

// REMARK: update of "w" is in one loop nest with its gradient
// REMARK: update of "u" moved to its gradient, but is not fused: its gradient is made from a value that is replaced before, so it is stored
// BITS-COUNT-3: equal bit for bit
// CHECK: func.func @step(
// CHECK: return %{{.*}}, %arg0, %arg1

#id = affine_map<(i,j)->(i,j)>
func.func @step(
    %w: tensor<64x64xf32> {train.role = #train.param<"w">}, %u: tensor<64x64xf32> {train.role = #train.param<"u">},
    %x: tensor<32x64xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<64x64xf32> {train.role = #train.next<"w">}, tensor<64x64xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %eb = tensor.empty() : tensor<32x64xf32>
  %zb = linalg.fill ins(%c0 : f32) outs(%eb : tensor<32x64xf32>) -> tensor<32x64xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %h = linalg.matmul ins(%x, %w : tensor<32x64xf32>, tensor<64x64xf32>) outs(%zb : tensor<32x64xf32>) -> tensor<32x64xf32>
  %y = linalg.matmul ins(%h, %u : tensor<32x64xf32>, tensor<64x64xf32>) outs(%zb : tensor<32x64xf32>) -> tensor<32x64xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<32x64xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dy = linalg.generic {indexing_maps=[#id,#id], iterator_types=["parallel","parallel"]} ins(%y : tensor<32x64xf32>) outs(%eb : tensor<32x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %k = arith.constant 0.001 : f32
    %m = arith.mulf %a, %k : f32
    linalg.yield %m : f32
  } -> tensor<32x64xf32>
  %dh = linalg.matmul indexing_maps=[affine_map<(m,n,k)->(m,k)>, affine_map<(m,n,k)->(n,k)>, affine_map<(m,n,k)->(m,n)>] ins(%dy, %u : tensor<32x64xf32>, tensor<64x64xf32>) outs(%zb : tensor<32x64xf32>) -> tensor<32x64xf32>
  %du0 = linalg.matmul indexing_maps=[affine_map<(m,n,k)->(k,m)>, affine_map<(m,n,k)->(k,n)>, affine_map<(m,n,k)->(m,n)>] ins(%h, %dy : tensor<32x64xf32>, tensor<32x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %dw0 = linalg.matmul indexing_maps=[affine_map<(m,n,k)->(k,m)>, affine_map<(m,n,k)->(k,n)>, affine_map<(m,n,k)->(m,n)>] ins(%x, %dh : tensor<32x64xf32>, tensor<32x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %gw = linalg.generic {indexing_maps=[#id,#id,#id,#id], iterator_types=["parallel","parallel"]} ins(%dw0, %w, %u : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%g: f32, %a: f32, %b: f32, %o: f32):
    %k = arith.constant 0.1 : f32
    %d = arith.subf %a, %b : f32
    %m = arith.mulf %d, %k : f32
    %r = arith.addf %g, %m : f32
    linalg.yield %r : f32
  } -> tensor<64x64xf32>
  %gu = linalg.generic {indexing_maps=[#id,#id,#id,#id], iterator_types=["parallel","parallel"]} ins(%du0, %u, %w : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%g: f32, %a: f32, %b: f32, %o: f32):
    %k = arith.constant 0.1 : f32
    %d = arith.subf %a, %b : f32
    %m = arith.mulf %d, %k : f32
    %r = arith.addf %g, %m : f32
    linalg.yield %r : f32
  } -> tensor<64x64xf32>
  %w1 = train.sgd ins(%gw : tensor<64x64xf32>) outs(%w : tensor<64x64xf32>) {lr = 0.1 : f64}
  %u1 = train.sgd ins(%gu : tensor<64x64xf32>) outs(%u : tensor<64x64xf32>) {lr = 0.1 : f64}
  return %loss, %w1, %u1 : tensor<f32>, tensor<64x64xf32>, tensor<64x64xf32>
}
