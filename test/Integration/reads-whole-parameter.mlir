// A penalty on W W^T: the gradient reads W as a whole, so it is no panel of one
// loop nest with the update. All schedules give the same bits, and the panels
// of an update of two loops, too.

// RUN: plait-run %s --entry-point=gram --random-inputs -n 4 --block=4 --compare | FileCheck %s
// RUN: plait-run %s --entry-point=two_loops --random-inputs -n 4 --block=4 --compare | FileCheck %s
// CHECK-COUNT-3: equal bit for bit
// RUN: not plait-run %s --entry-point=empty --random-inputs -n 1 2>&1 | FileCheck %s --check-prefix=EMPTY
// EMPTY: error: 'w' has type 'tensor<0x4xf32>', which has no elements; leave it out of the step

#id = affine_map<(i, j) -> (i, j)>

func.func @gram(%w: tensor<64x64xf32> {train.role = #train.param<"w">}, %x: tensor<64x64xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<64x64xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%w, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<64x64xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul ins(%y, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %w1 = train.sgd ins(%dw : tensor<64x64xf32>) outs(%w : tensor<64x64xf32>) {lr = 1.0e-3 : f64}
  return %loss, %w1 : tensor<f32>, tensor<64x64xf32>
}

func.func @two_loops(%w: tensor<64x32xf32> {train.role = #train.param<"w">}, %m: tensor<64x32xf32> {train.role = #train.state<"w", "m">},
                     %x: tensor<4x64xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<64x32xf32> {train.role = #train.next<"w">},
        tensor<64x32xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x32xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x32xf32>) -> tensor<64x32xf32>
  %eh = tensor.empty() : tensor<4x32xf32>
  %zh = linalg.fill ins(%c0 : f32) outs(%eh : tensor<4x32xf32>) -> tensor<4x32xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %h = linalg.matmul ins(%x, %w : tensor<4x64xf32>, tensor<64x32xf32>) outs(%zh : tensor<4x32xf32>) -> tensor<4x32xf32>
  %loss = linalg.reduce { arith.addf } ins(%h : tensor<4x32xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %h : tensor<4x64xf32>, tensor<4x32xf32>) outs(%z : tensor<64x32xf32>) -> tensor<64x32xf32>
  %n:2 = train.update "heavy ball" ins(%dw : tensor<64x32xf32>) outs(%w, %m : tensor<64x32xf32>, tensor<64x32xf32>) {
  ^bb0(%g: tensor<64x32xf32>, %old: tensor<64x32xf32>, %mom: tensor<64x32xf32>):
    %b = arith.constant 0.9 : f32
    %r = arith.constant 1.0e-3 : f32
    %m1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%g : tensor<64x32xf32>) outs(%mom : tensor<64x32xf32>) {
    ^bb0(%gi: f32, %mi: f32):
      %p = arith.mulf %mi, %b : f32
      %s = arith.addf %p, %gi : f32
      linalg.yield %s : f32
    } -> tensor<64x32xf32>
    %w1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%m1 : tensor<64x32xf32>) outs(%old : tensor<64x32xf32>) {
    ^bb0(%mi: f32, %wi: f32):
      %p = arith.mulf %mi, %r : f32
      %s = arith.subf %wi, %p : f32
      linalg.yield %s : f32
    } -> tensor<64x32xf32>
    train.yield %w1, %m1 : tensor<64x32xf32>, tensor<64x32xf32>
  } : tensor<64x32xf32>, tensor<64x32xf32>
  return %loss, %n#0, %n#1 : tensor<f32>, tensor<64x32xf32>, tensor<64x32xf32>
}

func.func @empty(%w: tensor<0x4xf32> {train.role = #train.param<"w">}, %x: tensor<0x4xf32> {train.role = #train.input<"x">})
    -> (tensor<0x4xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %w1 = train.sgd ins(%x : tensor<0x4xf32>) outs(%w : tensor<0x4xf32>) {lr = 0.1 : f64}
  return %w1 : tensor<0x4xf32>
}
