// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{policy=backward})' --mlir-print-ir-before=train-finalize-abi -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --implicit-check-not=memref.copy --implicit-check-not='memref.alloc() {{.*}}memref<64x16xf64>'
// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{policy=baseline})' --mlir-print-ir-before=train-finalize-abi -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STORED --implicit-check-not=memref.copy
// RUN: plait-run %s --random-inputs -n 3 --compare | FileCheck %s --check-prefix=BITS

// A parameter of f64, with momentum: a tile of it has twice the bytes, and the
// schedule is the same.

// CHECK-LABEL: func.func @step
// CHECK:         scf.forall
// CHECK:           linalg.matmul {{.*}} outs(%{{.*}}xf64
// CHECK-COUNT-1:   arith.subf
// CHECK-NOT:       arith.subf
// CHECK:         return %{{.*}}, %arg0, %arg1
// STORED-LABEL: func.func @step
// STORED:         memref.alloc() {{.*}}memref<64x16xf64>
// STORED:         return %{{.*}}, %arg0, %arg1
// BITS-COUNT-3: equal bit for bit
#id = affine_map<(i, j) -> (i, j)>
func.func @step(
    %w: tensor<64x16xf64> {train.role = #train.param<"w">}, %m: tensor<64x16xf64> {train.role = #train.state<"w", "momentum_buffer">},
    %x: tensor<8x16xf64> {train.role = #train.input<"x">}, %dy: tensor<64x8xf64> {train.role = #train.input<"dy">})
    -> (tensor<64x8xf64> {train.role = #train.output<"y">}, tensor<64x16xf64> {train.role = #train.next<"w">},
        tensor<64x16xf64> {train.role = #train.next<"w", "momentum_buffer">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<64x16xf64>
  %f = linalg.fill ins(%c0 : f64) outs(%e : tensor<64x16xf64>) -> tensor<64x16xf64>
  %ey = tensor.empty() : tensor<64x8xf64>
  %fy = linalg.fill ins(%c0 : f64) outs(%ey : tensor<64x8xf64>) -> tensor<64x8xf64>
  %y = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%w, %x : tensor<64x16xf64>, tensor<8x16xf64>) outs(%fy : tensor<64x8xf64>) -> tensor<64x8xf64>
  %dw = linalg.matmul ins(%dy, %x : tensor<64x8xf64>, tensor<8x16xf64>) outs(%f : tensor<64x16xf64>) -> tensor<64x16xf64>
  %w1, %m1 = train.update "momentum" ins(%dw : tensor<64x16xf64>) outs(%w, %m : tensor<64x16xf64>, tensor<64x16xf64>) {
  ^bb0(%gt: tensor<64x16xf64>, %wt: tensor<64x16xf64>, %mt: tensor<64x16xf64>):
    %n:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%gt : tensor<64x16xf64>) outs(%wt, %mt : tensor<64x16xf64>, tensor<64x16xf64>) {
    ^bb0(%gi: f64, %wi: f64, %mi: f64):
      %lr = arith.constant 0.125 : f64
      %beta = arith.constant 0.9 : f64
      %a = arith.mulf %mi, %beta : f64
      %b = arith.addf %a, %gi : f64
      %s = arith.mulf %b, %lr : f64
      %d = arith.subf %wi, %s : f64
      linalg.yield %d, %b : f64, f64
    } -> (tensor<64x16xf64>, tensor<64x16xf64>)
    train.yield %n#0, %n#1 : tensor<64x16xf64>, tensor<64x16xf64>
  } : tensor<64x16xf64>, tensor<64x16xf64>
  return %y, %w1, %m1 : tensor<64x8xf64>, tensor<64x16xf64>, tensor<64x16xf64>
}
