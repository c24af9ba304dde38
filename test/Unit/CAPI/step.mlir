// Least squares with momentum: pred = x w^T, loss = sum over the rows that
// `mask` keeps of (pred - y)^2. `count` counts steps; `row` is a row of a table
// that is added to the loss. Small enough to be written again in C.

#rows = affine_map<(b, o) -> (b)>
#all = affine_map<(b, o) -> (b, o)>
#none = affine_map<(b, o) -> ()>

func.func @step(
    %w: tensor<4x3xf32> {train.role = #train.param<"w">},
    %m: tensor<4x3xf32> {train.role = #train.state<"w", "momentum_buffer">},
    %started: tensor<f32> {train.role = #train.state<"w", "initialized">},
    %count: tensor<f32> {train.role = #train.state<"", "count">},
    %x: tensor<2x3xf32> {train.role = #train.input<"x">},
    %y: tensor<2x4xf32> {train.role = #train.input<"y">},
    %mask: tensor<2xi1> {train.role = #train.input<"mask">},
    %row: tensor<i64> {train.role = #train.input<"row">, train.index_range = array<i64: 0, 3>},
    %lr: tensor<f32> {train.role = #train.input<"lr">})
    -> (
    tensor<f32> {train.role = #train.output<"loss">},
    tensor<4x3xf32> {train.role = #train.next<"w">},
    tensor<4x3xf32> {train.role = #train.next<"w", "momentum_buffer">},
    tensor<f32> {train.role = #train.next<"w", "initialized">},
    tensor<f32> {train.role = #train.next<"", "count">},
    tensor<2x4xf32> {train.role = #train.output<"error">})
    attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  %table = arith.constant dense<[0.0, 0.5, 1.5]> : tensor<3xf32>

  // Forward.
  %e0 = tensor.empty() : tensor<2x4xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<2x4xf32>) -> tensor<2x4xf32>
  %pred = linalg.generic {
      indexing_maps = [affine_map<(b, o, k) -> (b, k)>, affine_map<(b, o, k) -> (o, k)>,
                       affine_map<(b, o, k) -> (b, o)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<2x3xf32>, tensor<4x3xf32>) outs(%f0 : tensor<2x4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x4xf32>
  %e1 = tensor.empty() : tensor<2x4xf32>
  %error = linalg.generic {
      indexing_maps = [#all, #all, #rows, #all], iterator_types = ["parallel", "parallel"]}
      ins(%pred, %y, %mask : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2xi1>)
      outs(%e1 : tensor<2x4xf32>) {
  ^bb0(%p: f32, %t: f32, %keep: i1, %out: f32):
    %d = arith.subf %p, %t : f32
    %r = arith.select %keep, %d, %zero : f32
    linalg.yield %r : f32
  } -> tensor<2x4xf32>
  %rowValue = tensor.extract %row[] : tensor<i64>
  %rowIndex = arith.index_cast %rowValue : i64 to index
  %extra = tensor.extract %table[%rowIndex] : tensor<3xf32>
  %e2 = tensor.empty() : tensor<f32>
  %f2 = linalg.fill ins(%extra : f32) outs(%e2 : tensor<f32>) -> tensor<f32>
  %loss = linalg.generic {
      indexing_maps = [#all, #none], iterator_types = ["reduction", "reduction"]}
      ins(%error : tensor<2x4xf32>) outs(%f2 : tensor<f32>) {
  ^bb0(%d: f32, %sum: f32):
    %q = arith.mulf %d, %d : f32
    %s = arith.addf %sum, %q : f32
    linalg.yield %s : f32
  } -> tensor<f32>

  // Backward: dw = 2 error^T x.
  %e3 = tensor.empty() : tensor<2x4xf32>
  %slope = linalg.generic {
      indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%error : tensor<2x4xf32>) outs(%e3 : tensor<2x4xf32>) {
  ^bb0(%d: f32, %out: f32):
    %r = arith.mulf %d, %two : f32
    linalg.yield %r : f32
  } -> tensor<2x4xf32>
  %e4 = tensor.empty() : tensor<4x3xf32>
  %f4 = linalg.fill ins(%zero : f32) outs(%e4 : tensor<4x3xf32>) -> tensor<4x3xf32>
  %dw = linalg.generic {
      indexing_maps = [affine_map<(o, k, b) -> (b, o)>, affine_map<(o, k, b) -> (b, k)>,
                       affine_map<(o, k, b) -> (o, k)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%slope, %x : tensor<2x4xf32>, tensor<2x3xf32>) outs(%f4 : tensor<4x3xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x3xf32>

  // Update.
  %w1, %m1, %started1 = train.sgd ins(%dw, %lr : tensor<4x3xf32>, tensor<f32>)
      outs(%w, %m, %started : tensor<4x3xf32>, tensor<4x3xf32>, tensor<f32>)
      {momentum = 0.9 : f64}
  %e5 = tensor.empty() : tensor<f32>
  %count1 = linalg.generic {
      indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []}
      ins(%count : tensor<f32>) outs(%e5 : tensor<f32>) {
  ^bb0(%c: f32, %out: f32):
    %n = arith.addf %c, %one : f32
    linalg.yield %n : f32
  } -> tensor<f32>
  return %loss, %w1, %m1, %started1, %count1, %error
      : tensor<f32>, tensor<4x3xf32>, tensor<4x3xf32>, tensor<f32>, tensor<f32>, tensor<2x4xf32>
}
