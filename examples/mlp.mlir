// A two-layer perceptron on flattened 28x28 images, mean squared error against
// one-hot labels, AdamW. Weights are [out, in] and the gradient of the hidden
// layer is computed before its weights' gradient, as torch does.
//
//   plait-run examples/mlp.mlir --random-inputs --steps=100 --compare

func.func @step(
    %fc1_weight: tensor<512x784xf32> {train.role = #train.param<"fc1.weight">},
    %fc1_weight_exp_avg: tensor<512x784xf32> {train.role = #train.state<"fc1.weight", "exp_avg">},
    %fc1_weight_exp_avg_sq: tensor<512x784xf32> {train.role = #train.state<"fc1.weight", "exp_avg_sq">},
    %fc1_weight_step: tensor<f32> {train.role = #train.state<"fc1.weight", "step">},
    %fc1_bias: tensor<512xf32> {train.role = #train.param<"fc1.bias">},
    %fc1_bias_exp_avg: tensor<512xf32> {train.role = #train.state<"fc1.bias", "exp_avg">},
    %fc1_bias_exp_avg_sq: tensor<512xf32> {train.role = #train.state<"fc1.bias", "exp_avg_sq">},
    %fc1_bias_step: tensor<f32> {train.role = #train.state<"fc1.bias", "step">},
    %fc2_weight: tensor<10x512xf32> {train.role = #train.param<"fc2.weight">},
    %fc2_weight_exp_avg: tensor<10x512xf32> {train.role = #train.state<"fc2.weight", "exp_avg">},
    %fc2_weight_exp_avg_sq: tensor<10x512xf32> {train.role = #train.state<"fc2.weight", "exp_avg_sq">},
    %fc2_weight_step: tensor<f32> {train.role = #train.state<"fc2.weight", "step">},
    %fc2_bias: tensor<10xf32> {train.role = #train.param<"fc2.bias">},
    %fc2_bias_exp_avg: tensor<10xf32> {train.role = #train.state<"fc2.bias", "exp_avg">},
    %fc2_bias_exp_avg_sq: tensor<10xf32> {train.role = #train.state<"fc2.bias", "exp_avg_sq">},
    %fc2_bias_step: tensor<f32> {train.role = #train.state<"fc2.bias", "step">},
    %x: tensor<32x784xf32> {train.role = #train.input<"x">},
    %y: tensor<32x10xf32> {train.role = #train.input<"y">})
    -> (
    tensor<f32> {train.role = #train.output<"loss">},
    tensor<512x784xf32> {train.role = #train.next<"fc1.weight">},
    tensor<512x784xf32> {train.role = #train.next<"fc1.weight", "exp_avg">},
    tensor<512x784xf32> {train.role = #train.next<"fc1.weight", "exp_avg_sq">},
    tensor<f32> {train.role = #train.next<"fc1.weight", "step">},
    tensor<512xf32> {train.role = #train.next<"fc1.bias">},
    tensor<512xf32> {train.role = #train.next<"fc1.bias", "exp_avg">},
    tensor<512xf32> {train.role = #train.next<"fc1.bias", "exp_avg_sq">},
    tensor<f32> {train.role = #train.next<"fc1.bias", "step">},
    tensor<10x512xf32> {train.role = #train.next<"fc2.weight">},
    tensor<10x512xf32> {train.role = #train.next<"fc2.weight", "exp_avg">},
    tensor<10x512xf32> {train.role = #train.next<"fc2.weight", "exp_avg_sq">},
    tensor<f32> {train.role = #train.next<"fc2.weight", "step">},
    tensor<10xf32> {train.role = #train.next<"fc2.bias">},
    tensor<10xf32> {train.role = #train.next<"fc2.bias", "exp_avg">},
    tensor<10xf32> {train.role = #train.next<"fc2.bias", "exp_avg_sq">},
    tensor<f32> {train.role = #train.next<"fc2.bias", "step">})
    attributes {train.step} {
  %zero = arith.constant 0.0 : f32

  // Forward.
  %z1_init = tensor.empty() : tensor<32x512xf32>
  %z1_zero = linalg.fill ins(%zero : f32) outs(%z1_init : tensor<32x512xf32>) -> tensor<32x512xf32>
  %z1 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %fc1_weight : tensor<32x784xf32>, tensor<512x784xf32>)
      outs(%z1_zero : tensor<32x512xf32>) -> tensor<32x512xf32>
  %h_init = tensor.empty() : tensor<32x512xf32>
  %h = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z1, %fc1_bias : tensor<32x512xf32>, tensor<512xf32>)
      outs(%h_init : tensor<32x512xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    %r = arith.maximumf %s, %zero : f32
    linalg.yield %r : f32
  } -> tensor<32x512xf32>
  %z2_init = tensor.empty() : tensor<32x10xf32>
  %z2_zero = linalg.fill ins(%zero : f32) outs(%z2_init : tensor<32x10xf32>) -> tensor<32x10xf32>
  %z2 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%h, %fc2_weight : tensor<32x512xf32>, tensor<10x512xf32>)
      outs(%z2_zero : tensor<32x10xf32>) -> tensor<32x10xf32>

  // The loss, mean of squared differences, and its gradient.
  %d_init = tensor.empty() : tensor<32x10xf32>
  %d = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z2, %fc2_bias, %y : tensor<32x10xf32>, tensor<10xf32>, tensor<32x10xf32>)
      outs(%d_init : tensor<32x10xf32>) {
  ^bb0(%a0: f32, %a1: f32, %a2: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    %e = arith.subf %s, %a2 : f32
    linalg.yield %e : f32
  } -> tensor<32x10xf32>
  %loss_init = tensor.empty() : tensor<f32>
  %loss_zero = linalg.fill ins(%zero : f32) outs(%loss_init : tensor<f32>) -> tensor<f32>
  %loss = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> ()>],
      iterator_types = ["reduction", "reduction"]}
      ins(%d : tensor<32x10xf32>)
      outs(%loss_zero : tensor<f32>) {
  ^bb0(%a0: f32, %o: f32):
    %scale = arith.constant 0.003125 : f32
    %q = arith.mulf %a0, %a0 : f32
    %w = arith.mulf %q, %scale : f32
    %s = arith.addf %o, %w : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  %dy_init = tensor.empty() : tensor<32x10xf32>
  %dy = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%d : tensor<32x10xf32>)
      outs(%dy_init : tensor<32x10xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %scale = arith.constant 0.00625 : f32
    %g = arith.mulf %a0, %scale : f32
    linalg.yield %g : f32
  } -> tensor<32x10xf32>

  // Backward: through the second layer, then the first.
  %dh_init = tensor.empty() : tensor<32x512xf32>
  %dh_zero = linalg.fill ins(%zero : f32) outs(%dh_init : tensor<32x512xf32>) -> tensor<32x512xf32>
  %dh = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%dy, %fc2_weight : tensor<32x10xf32>, tensor<10x512xf32>)
      outs(%dh_zero : tensor<32x512xf32>) -> tensor<32x512xf32>
  %fc2_weight_grad_init = tensor.empty() : tensor<10x512xf32>
  %fc2_weight_grad_zero = linalg.fill ins(%zero : f32) outs(%fc2_weight_grad_init : tensor<10x512xf32>) -> tensor<10x512xf32>
  %fc2_weight_grad = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%dy, %h : tensor<32x10xf32>, tensor<32x512xf32>)
      outs(%fc2_weight_grad_zero : tensor<10x512xf32>) -> tensor<10x512xf32>
  %fc2_bias_grad_init = tensor.empty() : tensor<10xf32>
  %fc2_bias_grad_zero = linalg.fill ins(%zero : f32) outs(%fc2_bias_grad_init : tensor<10xf32>) -> tensor<10xf32>
  %fc2_bias_grad = linalg.generic {
      indexing_maps = [affine_map<(n, m) -> (m, n)>, affine_map<(n, m) -> (n)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%dy : tensor<32x10xf32>)
      outs(%fc2_bias_grad_zero : tensor<10xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %s = arith.addf %o, %a0 : f32
    linalg.yield %s : f32
  } -> tensor<10xf32>
  %dz_init = tensor.empty() : tensor<32x512xf32>
  %dz = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%dh, %h : tensor<32x512xf32>, tensor<32x512xf32>)
      outs(%dz_init : tensor<32x512xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %on = arith.cmpf ogt, %a1, %zero : f32
    %g = arith.select %on, %a0, %zero : f32
    linalg.yield %g : f32
  } -> tensor<32x512xf32>
  %fc1_weight_grad_init = tensor.empty() : tensor<512x784xf32>
  %fc1_weight_grad_zero = linalg.fill ins(%zero : f32) outs(%fc1_weight_grad_init : tensor<512x784xf32>) -> tensor<512x784xf32>
  %fc1_weight_grad = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%dz, %x : tensor<32x512xf32>, tensor<32x784xf32>)
      outs(%fc1_weight_grad_zero : tensor<512x784xf32>) -> tensor<512x784xf32>
  %fc1_bias_grad_init = tensor.empty() : tensor<512xf32>
  %fc1_bias_grad_zero = linalg.fill ins(%zero : f32) outs(%fc1_bias_grad_init : tensor<512xf32>) -> tensor<512xf32>
  %fc1_bias_grad = linalg.generic {
      indexing_maps = [affine_map<(n, m) -> (m, n)>, affine_map<(n, m) -> (n)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%dz : tensor<32x512xf32>)
      outs(%fc1_bias_grad_zero : tensor<512xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %s = arith.addf %o, %a0 : f32
    linalg.yield %s : f32
  } -> tensor<512xf32>

  // Update: all at the end, as frameworks do. Plait moves them.
  %fc1_weight_next:4 = train.adam ins(%fc1_weight_grad : tensor<512x784xf32>)
      outs(%fc1_weight, %fc1_weight_exp_avg, %fc1_weight_exp_avg_sq, %fc1_weight_step
           : tensor<512x784xf32>, tensor<512x784xf32>, tensor<512x784xf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, weight_decay = 1.0e-2 : f64,
       decoupled_weight_decay}
  %fc1_bias_next:4 = train.adam ins(%fc1_bias_grad : tensor<512xf32>)
      outs(%fc1_bias, %fc1_bias_exp_avg, %fc1_bias_exp_avg_sq, %fc1_bias_step
           : tensor<512xf32>, tensor<512xf32>, tensor<512xf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, weight_decay = 1.0e-2 : f64,
       decoupled_weight_decay}
  %fc2_weight_next:4 = train.adam ins(%fc2_weight_grad : tensor<10x512xf32>)
      outs(%fc2_weight, %fc2_weight_exp_avg, %fc2_weight_exp_avg_sq, %fc2_weight_step
           : tensor<10x512xf32>, tensor<10x512xf32>, tensor<10x512xf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, weight_decay = 1.0e-2 : f64,
       decoupled_weight_decay}
  %fc2_bias_next:4 = train.adam ins(%fc2_bias_grad : tensor<10xf32>)
      outs(%fc2_bias, %fc2_bias_exp_avg, %fc2_bias_exp_avg_sq, %fc2_bias_step
           : tensor<10xf32>, tensor<10xf32>, tensor<10xf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, weight_decay = 1.0e-2 : f64,
       decoupled_weight_decay}
  return %loss, %fc1_weight_next#0, %fc1_weight_next#1, %fc1_weight_next#2, %fc1_weight_next#3, %fc1_bias_next#0, %fc1_bias_next#1, %fc1_bias_next#2, %fc1_bias_next#3, %fc2_weight_next#0, %fc2_weight_next#1, %fc2_weight_next#2, %fc2_weight_next#3, %fc2_bias_next#0, %fc2_bias_next#1, %fc2_bias_next#2, %fc2_bias_next#3
      : tensor<f32>, tensor<512x784xf32>, tensor<512x784xf32>, tensor<512x784xf32>, tensor<f32>, tensor<512xf32>, tensor<512xf32>, tensor<512xf32>, tensor<f32>, tensor<10x512xf32>, tensor<10x512xf32>, tensor<10x512xf32>, tensor<f32>, tensor<10xf32>, tensor<10xf32>, tensor<10xf32>, tensor<f32>
}
