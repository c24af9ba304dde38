// DEFINE: %{options} =
// DEFINE: %{auto} = plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=auto %{options}},train-backward-fusion))'
// DEFINE: %{remarks} = %{auto} --remarks-filter='train-.*' --remark-format=emitRemark -o /dev/null 2>&1
// RUN: %{auto} | FileCheck %s
// RUN: %{remarks} | FileCheck %s --check-prefix=REMARK

// Where parameters, states and gradient exceed the cache, a gradient costs more,
// and more rows are few; if memory is nearly as fast, as many as in the cache. On
// a slow core the product is nearly all, and a tie is one nest, which stores less.
// REDEFINE: %{options} = cache-bytes=1000000
// RUN: %{auto} | FileCheck %s --check-prefixes=MEMORY
// REDEFINE: %{options} = cache-bytes=1000000 memory-gbs=200
// RUN: %{auto} | FileCheck %s --check-prefixes=FAST
// REDEFINE: %{options} = core-gflops=20
// RUN: %{remarks} | FileCheck %s --check-prefix=SLOW

// A later decision is another one.
// RUN: plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-place{policy=auto},train-place{policy=backward}))' \
// RUN:   | FileCheck %s --check-prefix=AGAIN --implicit-check-not=train.apart
// AGAIN: train.placement

// Eight rows: what the gradient's bytes cost is much of all.

// REMARK: [Passed] fusion-cost | Category:train-place | Function=w | Remark="update of "w" is estimated at 0.102 ms and 8.4 MB in one loop nest with its gradient, at 0.115 ms and 21.0 MB apart from it (one core, in the last-level cache): one nest"
// REMARK: [Passed] backward-fusion | {{.*}}"update of "w" is in one loop nest with its gradient"
// CHECK-LABEL: func.func @few_rows
// CHECK:         train.cluster
// CHECK-NOT:     train.apart
// MEMORY-LABEL: func.func @few_rows
// MEMORY:         train.cluster
// FAST-LABEL: func.func @few_rows
// FAST:         train.cluster
// SLOW: ms and 8.4 MB in one loop nest with its gradient, {{.*}}: one nest
func.func @few_rows(
    %w: tensor<1024x1024xf32> {train.role = #train.param<"w">}, %dz: tensor<8x1024xf32>, %x: tensor<8x1024xf32>)
    -> (tensor<1024x1024xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1024x1024xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<1024x1024xf32>) -> tensor<1024x1024xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%dz, %x : tensor<8x1024xf32>, tensor<8x1024xf32>) outs(%z : tensor<1024x1024xf32>) -> tensor<1024x1024xf32>
  %w1 = train.sgd ins(%dw : tensor<1024x1024xf32>) outs(%w : tensor<1024x1024xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<1024x1024xf32>
}

// -----

// Many rows: each of 16 panels would pack x once more. The update is behind its
// gradient all the same, and not where the graph has it, behind the other op.

// REMARK: update of "w" is estimated at 4.489 ms and 8.4 MB in one loop nest with its gradient, at 4.276 ms and 21.0 MB apart from it (one core, in the last-level cache): apart
// REMARK: update of "w" is next to its gradient, which is stored: that costs less than one loop nest
// CHECK-LABEL: func.func @many_rows
// CHECK-NOT:     train.cluster
// CHECK:         linalg.matmul
// CHECK-NEXT:    train.sgd {{.*}}train.apart
// CHECK:         linalg.exp
// MEMORY-LABEL: func.func @many_rows
// MEMORY:         train.apart
// FAST-LABEL: func.func @many_rows
// FAST:         train.apart
// SLOW: apart from it (one core, in the last-level cache): one nest
func.func @many_rows(
    %w: tensor<1024x1024xf32> {train.role = #train.param<"w">}, %dz: tensor<512x1024xf32>, %x: tensor<512x1024xf32>)
    -> (tensor<1024x1024xf32> {train.role = #train.next<"w">}, tensor<512x1024xf32>) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1024x1024xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<1024x1024xf32>) -> tensor<1024x1024xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%dz, %x : tensor<512x1024xf32>, tensor<512x1024xf32>) outs(%z : tensor<1024x1024xf32>) -> tensor<1024x1024xf32>
  %other = linalg.exp ins(%x : tensor<512x1024xf32>) outs(%dz : tensor<512x1024xf32>) -> tensor<512x1024xf32>
  %w1 = train.sgd ins(%dw : tensor<1024x1024xf32>) outs(%w : tensor<1024x1024xf32>) {lr = 0.1 : f64}
  return %w1, %other : tensor<1024x1024xf32>, tensor<512x1024xf32>
}

// -----

// 128 rows: it depends on the cache.

// REMARK: update of "w" is estimated at 1.147 ms {{.*}}: apart
// CHECK-LABEL: func.func @rows_between
// CHECK:         train.apart
// MEMORY-LABEL: func.func @rows_between
// MEMORY:         train.cluster
// FAST-LABEL: func.func @rows_between
// FAST:         train.apart
func.func @rows_between(
    %w: tensor<1024x1024xf32> {train.role = #train.param<"w">}, %dz: tensor<128x1024xf32>, %x: tensor<128x1024xf32>)
    -> (tensor<1024x1024xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1024x1024xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<1024x1024xf32>) -> tensor<1024x1024xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%dz, %x : tensor<128x1024xf32>, tensor<128x1024xf32>) outs(%z : tensor<1024x1024xf32>) -> tensor<1024x1024xf32>
  %w1 = train.sgd ins(%dw : tensor<1024x1024xf32>) outs(%w : tensor<1024x1024xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<1024x1024xf32>
}

// -----

// A sum over rows packs nothing: one nest, however many rows there are.

// REMARK: update of "b" is estimated {{.*}}: one nest
// CHECK-LABEL: func.func @sum
// CHECK:         train.cluster
func.func @sum(
    %b: tensor<1024xf32> {train.role = #train.param<"b">}, %dz: tensor<4096x1024xf32>)
    -> (tensor<1024xf32> {train.role = #train.next<"b">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1024xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<1024xf32>) -> tensor<1024xf32>
  %db = linalg.reduce {arith.addf} ins(%dz : tensor<4096x1024xf32>) outs(%z : tensor<1024xf32>) dimensions = [0]
  %b1 = train.sgd ins(%db : tensor<1024xf32>) outs(%b : tensor<1024xf32>) {lr = 0.1 : f64}
  return %b1 : tensor<1024xf32>
}

// -----

// What cannot be fused has no estimate: the gradient is used twice.

// REMARK-NOT: update of "u" is estimated
// REMARK: update of "u" moved to its gradient, but is not fused: its gradient has other users, so it is stored
// CHECK-LABEL: func.func @do_not_weigh_gradient_with_other_users
// CHECK-NOT:     train.apart
func.func @do_not_weigh_gradient_with_other_users(
    %u: tensor<4x4xf32> {train.role = #train.param<"u">}, %x: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"u">}, tensor<4x4xf32>) attributes {train.step} {
  %du = linalg.matmul ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %u1 = train.sgd ins(%du : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %u1, %du : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// A small weight, and a gain of nanoseconds: it is not worth a loop.

// REMARK: update of "s" is estimated {{.*}}: one nest
// CHECK-LABEL: func.func @small
// CHECK-NOT:     train.apart
func.func @small(
    %s: tensor<10x64xf32> {train.role = #train.param<"s">}, %dz: tensor<128x10xf32>, %x: tensor<128x64xf32>, %z: tensor<10x64xf32>)
    -> (tensor<10x64xf32> {train.role = #train.next<"s">}) attributes {train.step} {
  %ds = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%dz, %x : tensor<128x10xf32>, tensor<128x64xf32>) outs(%z : tensor<10x64xf32>) -> tensor<10x64xf32>
  %s1 = train.sgd ins(%ds : tensor<10x64xf32>) outs(%s : tensor<10x64xf32>) {lr = 0.1 : f64}
  return %s1 : tensor<10x64xf32>
}
