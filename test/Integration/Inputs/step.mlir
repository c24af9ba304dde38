// A small step for tests of plait-run: two linear layers, squared error, two
// optimizers, a learning rate that is an input, and an evaluation.
#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
#all = affine_map<(m, n) -> ()>

func.func @step(
    %w: tensor<5x8xf32> {train.role = #train.param<"fc1.weight">},
    %w.m: tensor<5x8xf32> {train.role = #train.state<"fc1.weight", "exp_avg">},
    %w.v: tensor<5x8xf32> {train.role = #train.state<"fc1.weight", "exp_avg_sq">},
    %w.t: tensor<f32> {train.role = #train.state<"fc1.weight", "step">},
    %u: tensor<3x5xf32> {train.role = #train.param<"fc2.weight">},
    %u.m: tensor<3x5xf32> {train.role = #train.state<"fc2.weight", "momentum_buffer">},
    %u.i: tensor<f32> {train.role = #train.state<"fc2.weight", "initialized">},
    %x: tensor<4x8xf32> {train.role = #train.input<"x">},
    %y: tensor<4x3xf32> {train.role = #train.input<"y">},
    %lr: tensor<f32> {train.role = #train.input<"lr">})
    -> (
    tensor<f32> {train.role = #train.output<"loss">},
    tensor<5x8xf32> {train.role = #train.next<"fc1.weight">},
    tensor<5x8xf32> {train.role = #train.next<"fc1.weight", "exp_avg">},
    tensor<5x8xf32> {train.role = #train.next<"fc1.weight", "exp_avg_sq">},
    tensor<f32> {train.role = #train.next<"fc1.weight", "step">},
    tensor<3x5xf32> {train.role = #train.next<"fc2.weight">},
    tensor<3x5xf32> {train.role = #train.next<"fc2.weight", "momentum_buffer">},
    tensor<f32> {train.role = #train.next<"fc2.weight", "initialized">})
    attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %h_empty = tensor.empty() : tensor<4x5xf32>
  %h_zero = linalg.fill ins(%zero : f32) outs(%h_empty : tensor<4x5xf32>) -> tensor<4x5xf32>
  %h = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %w : tensor<4x8xf32>, tensor<5x8xf32>) outs(%h_zero : tensor<4x5xf32>) -> tensor<4x5xf32>
  %z_empty = tensor.empty() : tensor<4x3xf32>
  %z_zero = linalg.fill ins(%zero : f32) outs(%z_empty : tensor<4x3xf32>) -> tensor<4x3xf32>
  %z = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%h, %u : tensor<4x5xf32>, tensor<3x5xf32>) outs(%z_zero : tensor<4x3xf32>) -> tensor<4x3xf32>
  %dz = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%z, %y : tensor<4x3xf32>, tensor<4x3xf32>) outs(%z_empty : tensor<4x3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %e = arith.subf %a, %b : f32
    linalg.yield %e : f32
  } -> tensor<4x3xf32>
  %loss_empty = tensor.empty() : tensor<f32>
  %loss_zero = linalg.fill ins(%zero : f32) outs(%loss_empty : tensor<f32>) -> tensor<f32>
  %loss = linalg.generic {indexing_maps = [#id, #all], iterator_types = ["reduction", "reduction"]}
      ins(%dz : tensor<4x3xf32>) outs(%loss_zero : tensor<f32>) {
  ^bb0(%e: f32, %o: f32):
    %q = arith.mulf %e, %e : f32
    %s = arith.addf %o, %q : f32
    linalg.yield %s : f32
  } -> tensor<f32>

  %du_empty = tensor.empty() : tensor<3x5xf32>
  %du_zero = linalg.fill ins(%zero : f32) outs(%du_empty : tensor<3x5xf32>) -> tensor<3x5xf32>
  %du = linalg.matmul indexing_maps = [#km, #kn, #mn]
      ins(%dz, %h : tensor<4x3xf32>, tensor<4x5xf32>) outs(%du_zero : tensor<3x5xf32>) -> tensor<3x5xf32>
  %dh = linalg.matmul
      ins(%dz, %u : tensor<4x3xf32>, tensor<3x5xf32>) outs(%h_zero : tensor<4x5xf32>) -> tensor<4x5xf32>
  %dw_empty = tensor.empty() : tensor<5x8xf32>
  %dw_zero = linalg.fill ins(%zero : f32) outs(%dw_empty : tensor<5x8xf32>) -> tensor<5x8xf32>
  %dw = linalg.matmul indexing_maps = [#km, #kn, #mn]
      ins(%dh, %x : tensor<4x5xf32>, tensor<4x8xf32>) outs(%dw_zero : tensor<5x8xf32>) -> tensor<5x8xf32>

  %w1:4 = train.adam ins(%dw : tensor<5x8xf32>)
      outs(%w, %w.m, %w.v, %w.t : tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>, tensor<f32>)
      {lr = 1.0e-2 : f64, betas = array<f64: 0.9, 0.999>, eps = 1.0e-8 : f64}
  %u1:3 = train.sgd ins(%du, %lr : tensor<3x5xf32>, tensor<f32>)
      outs(%u, %u.m, %u.i : tensor<3x5xf32>, tensor<3x5xf32>, tensor<f32>) {momentum = 0.9 : f64}
  return %loss, %w1#0, %w1#1, %w1#2, %w1#3, %u1#0, %u1#1, %u1#2
      : tensor<f32>, tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>, tensor<f32>,
        tensor<3x5xf32>, tensor<3x5xf32>, tensor<f32>
}

func.func @eval(
    %w: tensor<5x8xf32> {train.role = #train.param<"fc1.weight">},
    %x: tensor<4x8xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"activity">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %h_empty = tensor.empty() : tensor<4x5xf32>
  %h_zero = linalg.fill ins(%zero : f32) outs(%h_empty : tensor<4x5xf32>) -> tensor<4x5xf32>
  %h = linalg.matmul indexing_maps = [#mk, #nk, #mn]
      ins(%x, %w : tensor<4x8xf32>, tensor<5x8xf32>) outs(%h_zero : tensor<4x5xf32>) -> tensor<4x5xf32>
  %sum_empty = tensor.empty() : tensor<f32>
  %sum_zero = linalg.fill ins(%zero : f32) outs(%sum_empty : tensor<f32>) -> tensor<f32>
  %sum = linalg.generic {indexing_maps = [#id, #all], iterator_types = ["reduction", "reduction"]}
      ins(%h : tensor<4x5xf32>) outs(%sum_zero : tensor<f32>) {
  ^bb0(%e: f32, %o: f32):
    %q = arith.mulf %e, %e : f32
    %s = arith.addf %o, %q : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  return %sum : tensor<f32>
}
