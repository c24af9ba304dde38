// A 784-512-512-10 perceptron on handwritten digits: batches of 32, softmax
// cross-entropy of integer labels, AdamW. Written by scripts/mnist.py.
//
//   scripts/quickstart trains it on real digits.

func.func @step(
    %fc1.weight: tensor<512x784xf32> {train.role = #train.param<"fc1.weight">},
    %fc1.weight.exp_avg: tensor<512x784xf32> {train.role = #train.state<"fc1.weight", "exp_avg">},
    %fc1.weight.exp_avg_sq: tensor<512x784xf32> {train.role = #train.state<"fc1.weight", "exp_avg_sq">},
    %fc1.weight.step: tensor<f32> {train.role = #train.state<"fc1.weight", "step">},
    %fc1.bias: tensor<512xf32> {train.role = #train.param<"fc1.bias">},
    %fc1.bias.exp_avg: tensor<512xf32> {train.role = #train.state<"fc1.bias", "exp_avg">},
    %fc1.bias.exp_avg_sq: tensor<512xf32> {train.role = #train.state<"fc1.bias", "exp_avg_sq">},
    %fc1.bias.step: tensor<f32> {train.role = #train.state<"fc1.bias", "step">},
    %fc2.weight: tensor<512x512xf32> {train.role = #train.param<"fc2.weight">},
    %fc2.weight.exp_avg: tensor<512x512xf32> {train.role = #train.state<"fc2.weight", "exp_avg">},
    %fc2.weight.exp_avg_sq: tensor<512x512xf32> {train.role = #train.state<"fc2.weight", "exp_avg_sq">},
    %fc2.weight.step: tensor<f32> {train.role = #train.state<"fc2.weight", "step">},
    %fc2.bias: tensor<512xf32> {train.role = #train.param<"fc2.bias">},
    %fc2.bias.exp_avg: tensor<512xf32> {train.role = #train.state<"fc2.bias", "exp_avg">},
    %fc2.bias.exp_avg_sq: tensor<512xf32> {train.role = #train.state<"fc2.bias", "exp_avg_sq">},
    %fc2.bias.step: tensor<f32> {train.role = #train.state<"fc2.bias", "step">},
    %fc3.weight: tensor<10x512xf32> {train.role = #train.param<"fc3.weight">},
    %fc3.weight.exp_avg: tensor<10x512xf32> {train.role = #train.state<"fc3.weight", "exp_avg">},
    %fc3.weight.exp_avg_sq: tensor<10x512xf32> {train.role = #train.state<"fc3.weight", "exp_avg_sq">},
    %fc3.weight.step: tensor<f32> {train.role = #train.state<"fc3.weight", "step">},
    %fc3.bias: tensor<10xf32> {train.role = #train.param<"fc3.bias">},
    %fc3.bias.exp_avg: tensor<10xf32> {train.role = #train.state<"fc3.bias", "exp_avg">},
    %fc3.bias.exp_avg_sq: tensor<10xf32> {train.role = #train.state<"fc3.bias", "exp_avg_sq">},
    %fc3.bias.step: tensor<f32> {train.role = #train.state<"fc3.bias", "step">},
    %x: tensor<32x784xf32> {train.role = #train.input<"x">},
    %y: tensor<32xi64> {train.role = #train.input<"y">})
    -> (tensor<f32> {train.role = #train.output<"loss">},
     tensor<512x784xf32> {train.role = #train.next<"fc1.weight">},
     tensor<512x784xf32> {train.role = #train.next<"fc1.weight", "exp_avg">},
     tensor<512x784xf32> {train.role = #train.next<"fc1.weight", "exp_avg_sq">},
     tensor<f32> {train.role = #train.next<"fc1.weight", "step">},
     tensor<512xf32> {train.role = #train.next<"fc1.bias">},
     tensor<512xf32> {train.role = #train.next<"fc1.bias", "exp_avg">},
     tensor<512xf32> {train.role = #train.next<"fc1.bias", "exp_avg_sq">},
     tensor<f32> {train.role = #train.next<"fc1.bias", "step">},
     tensor<512x512xf32> {train.role = #train.next<"fc2.weight">},
     tensor<512x512xf32> {train.role = #train.next<"fc2.weight", "exp_avg">},
     tensor<512x512xf32> {train.role = #train.next<"fc2.weight", "exp_avg_sq">},
     tensor<f32> {train.role = #train.next<"fc2.weight", "step">},
     tensor<512xf32> {train.role = #train.next<"fc2.bias">},
     tensor<512xf32> {train.role = #train.next<"fc2.bias", "exp_avg">},
     tensor<512xf32> {train.role = #train.next<"fc2.bias", "exp_avg_sq">},
     tensor<f32> {train.role = #train.next<"fc2.bias", "step">},
     tensor<10x512xf32> {train.role = #train.next<"fc3.weight">},
     tensor<10x512xf32> {train.role = #train.next<"fc3.weight", "exp_avg">},
     tensor<10x512xf32> {train.role = #train.next<"fc3.weight", "exp_avg_sq">},
     tensor<f32> {train.role = #train.next<"fc3.weight", "step">},
     tensor<10xf32> {train.role = #train.next<"fc3.bias">},
     tensor<10xf32> {train.role = #train.next<"fc3.bias", "exp_avg">},
     tensor<10xf32> {train.role = #train.next<"fc3.bias", "exp_avg_sq">},
     tensor<f32> {train.role = #train.next<"fc3.bias", "step">})
    attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32

  // Forward.
  %z1_empty = tensor.empty() : tensor<32x512xf32>
  %z1_init = linalg.fill ins(%zero : f32) outs(%z1_empty : tensor<32x512xf32>) -> tensor<32x512xf32>
  %z1 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %fc1.weight : tensor<32x784xf32>, tensor<512x784xf32>)
      outs(%z1_init : tensor<32x512xf32>) -> tensor<32x512xf32>
  %h1_empty = tensor.empty() : tensor<32x512xf32>
  %h1 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z1, %fc1.bias : tensor<32x512xf32>, tensor<512xf32>)
      outs(%h1_empty : tensor<32x512xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    %r = arith.maximumf %s, %zero : f32
    linalg.yield %r : f32
  } -> tensor<32x512xf32>
  %z2_empty = tensor.empty() : tensor<32x512xf32>
  %z2_init = linalg.fill ins(%zero : f32) outs(%z2_empty : tensor<32x512xf32>) -> tensor<32x512xf32>
  %z2 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%h1, %fc2.weight : tensor<32x512xf32>, tensor<512x512xf32>)
      outs(%z2_init : tensor<32x512xf32>) -> tensor<32x512xf32>
  %h2_empty = tensor.empty() : tensor<32x512xf32>
  %h2 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z2, %fc2.bias : tensor<32x512xf32>, tensor<512xf32>)
      outs(%h2_empty : tensor<32x512xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    %r = arith.maximumf %s, %zero : f32
    linalg.yield %r : f32
  } -> tensor<32x512xf32>
  %z3_empty = tensor.empty() : tensor<32x10xf32>
  %z3_init = linalg.fill ins(%zero : f32) outs(%z3_empty : tensor<32x10xf32>) -> tensor<32x10xf32>
  %z3 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%h2, %fc3.weight : tensor<32x512xf32>, tensor<10x512xf32>)
      outs(%z3_init : tensor<32x10xf32>) -> tensor<32x10xf32>
  %logits_empty = tensor.empty() : tensor<32x10xf32>
  %logits = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z3, %fc3.bias : tensor<32x10xf32>, tensor<10xf32>)
      outs(%logits_empty : tensor<32x10xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    linalg.yield %s : f32
  } -> tensor<32x10xf32>

  // The largest logit of each row, and that of its label.
  %top_empty = tensor.empty() : tensor<32xf32>
  %top_init = linalg.fill ins(%lowest : f32) outs(%top_empty : tensor<32xf32>) -> tensor<32xf32>
  %top = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%logits : tensor<32x10xf32>)
      outs(%top_init : tensor<32xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %s = arith.maximumf %o, %a0 : f32
    linalg.yield %s : f32
  } -> tensor<32xf32>
  %picked_empty = tensor.empty() : tensor<32xf32>
  %picked_init = linalg.fill ins(%zero : f32) outs(%picked_empty : tensor<32xf32>) -> tensor<32xf32>
  %picked = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>, affine_map<(m, n) -> (m)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%logits, %y : tensor<32x10xf32>, tensor<32xi64>)
      outs(%picked_init : tensor<32xf32>) {
  ^bb0(%a0: f32, %a1: i64, %o: f32):
    %n = linalg.index 1 : index
    %c = arith.index_cast %n : index to i64
    %is = arith.cmpi eq, %c, %a1 : i64
    %v = arith.select %is, %a0, %zero : f32
    %s = arith.addf %o, %v : f32
    linalg.yield %s : f32
  } -> tensor<32xf32>

  // The mean of log(sum(exp(logits))) - logits[label], and its gradient.
  %total_empty = tensor.empty() : tensor<32xf32>
  %total_init = linalg.fill ins(%zero : f32) outs(%total_empty : tensor<32xf32>) -> tensor<32xf32>
  %total = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>, affine_map<(m, n) -> (m)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%logits, %top : tensor<32x10xf32>, tensor<32xf32>)
      outs(%total_init : tensor<32xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %e = arith.subf %a0, %a1 : f32
    %p = math.exp %e : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<32xf32>
  %scale = arith.constant 0.03125 : f32
  %loss_empty = tensor.empty() : tensor<f32>
  %loss_init = linalg.fill ins(%zero : f32) outs(%loss_empty : tensor<f32>) -> tensor<f32>
  %loss = linalg.generic {
      indexing_maps = [affine_map<(m) -> (m)>, affine_map<(m) -> (m)>,
                       affine_map<(m) -> (m)>, affine_map<(m) -> ()>],
      iterator_types = ["reduction"]}
      ins(%total, %top, %picked : tensor<32xf32>, tensor<32xf32>, tensor<32xf32>)
      outs(%loss_init : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %a2: f32, %o: f32):
    %l = math.log %a0 : f32
    %e = arith.subf %a1, %a2 : f32
    %r = arith.addf %l, %e : f32
    %w = arith.mulf %r, %scale : f32
    %s = arith.addf %o, %w : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  %one = arith.constant 1.0 : f32
  %d3_empty = tensor.empty() : tensor<32x10xf32>
  %d3 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>, affine_map<(m, n) -> (m)>, affine_map<(m, n) -> (m)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%logits, %y, %top, %total : tensor<32x10xf32>, tensor<32xi64>, tensor<32xf32>, tensor<32xf32>)
      outs(%d3_empty : tensor<32x10xf32>) {
  ^bb0(%a0: f32, %a1: i64, %a2: f32, %a3: f32, %o: f32):
    %n = linalg.index 1 : index
    %c = arith.index_cast %n : index to i64
    %is = arith.cmpi eq, %c, %a1 : i64
    %e = arith.subf %a0, %a2 : f32
    %p = math.exp %e : f32
    %q = arith.divf %p, %a3 : f32
    %q1 = arith.subf %q, %one : f32
    %g = arith.select %is, %q1, %q : f32
    %s = arith.mulf %g, %scale : f32
    linalg.yield %s : f32
  } -> tensor<32x10xf32>

  // Backward.
  %dh2_empty = tensor.empty() : tensor<32x512xf32>
  %dh2_init = linalg.fill ins(%zero : f32) outs(%dh2_empty : tensor<32x512xf32>) -> tensor<32x512xf32>
  %dh2 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%d3, %fc3.weight : tensor<32x10xf32>, tensor<10x512xf32>)
      outs(%dh2_init : tensor<32x512xf32>) -> tensor<32x512xf32>
  %d2_empty = tensor.empty() : tensor<32x512xf32>
  %d2 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%dh2, %h2 : tensor<32x512xf32>, tensor<32x512xf32>)
      outs(%d2_empty : tensor<32x512xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %on = arith.cmpf ogt, %a1, %zero : f32
    %g = arith.select %on, %a0, %zero : f32
    linalg.yield %g : f32
  } -> tensor<32x512xf32>
  %fc3.weight_grad_empty = tensor.empty() : tensor<10x512xf32>
  %fc3.weight_grad_init = linalg.fill ins(%zero : f32) outs(%fc3.weight_grad_empty : tensor<10x512xf32>) -> tensor<10x512xf32>
  %fc3.weight_grad = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%d3, %h2 : tensor<32x10xf32>, tensor<32x512xf32>)
      outs(%fc3.weight_grad_init : tensor<10x512xf32>) -> tensor<10x512xf32>
  %fc3.bias_grad_empty = tensor.empty() : tensor<10xf32>
  %fc3.bias_grad_init = linalg.fill ins(%zero : f32) outs(%fc3.bias_grad_empty : tensor<10xf32>) -> tensor<10xf32>
  %fc3.bias_grad = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>],
      iterator_types = ["reduction", "parallel"]}
      ins(%d3 : tensor<32x10xf32>)
      outs(%fc3.bias_grad_init : tensor<10xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %s = arith.addf %o, %a0 : f32
    linalg.yield %s : f32
  } -> tensor<10xf32>
  %dh1_empty = tensor.empty() : tensor<32x512xf32>
  %dh1_init = linalg.fill ins(%zero : f32) outs(%dh1_empty : tensor<32x512xf32>) -> tensor<32x512xf32>
  %dh1 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%d2, %fc2.weight : tensor<32x512xf32>, tensor<512x512xf32>)
      outs(%dh1_init : tensor<32x512xf32>) -> tensor<32x512xf32>
  %d1_empty = tensor.empty() : tensor<32x512xf32>
  %d1 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%dh1, %h1 : tensor<32x512xf32>, tensor<32x512xf32>)
      outs(%d1_empty : tensor<32x512xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %on = arith.cmpf ogt, %a1, %zero : f32
    %g = arith.select %on, %a0, %zero : f32
    linalg.yield %g : f32
  } -> tensor<32x512xf32>
  %fc2.weight_grad_empty = tensor.empty() : tensor<512x512xf32>
  %fc2.weight_grad_init = linalg.fill ins(%zero : f32) outs(%fc2.weight_grad_empty : tensor<512x512xf32>) -> tensor<512x512xf32>
  %fc2.weight_grad = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%d2, %h1 : tensor<32x512xf32>, tensor<32x512xf32>)
      outs(%fc2.weight_grad_init : tensor<512x512xf32>) -> tensor<512x512xf32>
  %fc2.bias_grad_empty = tensor.empty() : tensor<512xf32>
  %fc2.bias_grad_init = linalg.fill ins(%zero : f32) outs(%fc2.bias_grad_empty : tensor<512xf32>) -> tensor<512xf32>
  %fc2.bias_grad = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>],
      iterator_types = ["reduction", "parallel"]}
      ins(%d2 : tensor<32x512xf32>)
      outs(%fc2.bias_grad_init : tensor<512xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %s = arith.addf %o, %a0 : f32
    linalg.yield %s : f32
  } -> tensor<512xf32>
  %fc1.weight_grad_empty = tensor.empty() : tensor<512x784xf32>
  %fc1.weight_grad_init = linalg.fill ins(%zero : f32) outs(%fc1.weight_grad_empty : tensor<512x784xf32>) -> tensor<512x784xf32>
  %fc1.weight_grad = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%d1, %x : tensor<32x512xf32>, tensor<32x784xf32>)
      outs(%fc1.weight_grad_init : tensor<512x784xf32>) -> tensor<512x784xf32>
  %fc1.bias_grad_empty = tensor.empty() : tensor<512xf32>
  %fc1.bias_grad_init = linalg.fill ins(%zero : f32) outs(%fc1.bias_grad_empty : tensor<512xf32>) -> tensor<512xf32>
  %fc1.bias_grad = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>],
      iterator_types = ["reduction", "parallel"]}
      ins(%d1 : tensor<32x512xf32>)
      outs(%fc1.bias_grad_init : tensor<512xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %s = arith.addf %o, %a0 : f32
    linalg.yield %s : f32
  } -> tensor<512xf32>

  // Update: all at the end, as frameworks do. Plait moves them.
  %fc1.weight_next:4 = train.adam ins(%fc1.weight_grad : tensor<512x784xf32>)
      outs(%fc1.weight, %fc1.weight.exp_avg, %fc1.weight.exp_avg_sq, %fc1.weight.step : tensor<512x784xf32>, tensor<512x784xf32>, tensor<512x784xf32>, tensor<f32>)
      {lr = 0.0005 : f64, weight_decay = 0.01 : f64, decoupled_weight_decay}
  %fc1.bias_next:4 = train.adam ins(%fc1.bias_grad : tensor<512xf32>)
      outs(%fc1.bias, %fc1.bias.exp_avg, %fc1.bias.exp_avg_sq, %fc1.bias.step : tensor<512xf32>, tensor<512xf32>, tensor<512xf32>, tensor<f32>)
      {lr = 0.0005 : f64, weight_decay = 0.01 : f64, decoupled_weight_decay}
  %fc2.weight_next:4 = train.adam ins(%fc2.weight_grad : tensor<512x512xf32>)
      outs(%fc2.weight, %fc2.weight.exp_avg, %fc2.weight.exp_avg_sq, %fc2.weight.step : tensor<512x512xf32>, tensor<512x512xf32>, tensor<512x512xf32>, tensor<f32>)
      {lr = 0.0005 : f64, weight_decay = 0.01 : f64, decoupled_weight_decay}
  %fc2.bias_next:4 = train.adam ins(%fc2.bias_grad : tensor<512xf32>)
      outs(%fc2.bias, %fc2.bias.exp_avg, %fc2.bias.exp_avg_sq, %fc2.bias.step : tensor<512xf32>, tensor<512xf32>, tensor<512xf32>, tensor<f32>)
      {lr = 0.0005 : f64, weight_decay = 0.01 : f64, decoupled_weight_decay}
  %fc3.weight_next:4 = train.adam ins(%fc3.weight_grad : tensor<10x512xf32>)
      outs(%fc3.weight, %fc3.weight.exp_avg, %fc3.weight.exp_avg_sq, %fc3.weight.step : tensor<10x512xf32>, tensor<10x512xf32>, tensor<10x512xf32>, tensor<f32>)
      {lr = 0.0005 : f64, weight_decay = 0.01 : f64, decoupled_weight_decay}
  %fc3.bias_next:4 = train.adam ins(%fc3.bias_grad : tensor<10xf32>)
      outs(%fc3.bias, %fc3.bias.exp_avg, %fc3.bias.exp_avg_sq, %fc3.bias.step : tensor<10xf32>, tensor<10xf32>, tensor<10xf32>, tensor<f32>)
      {lr = 0.0005 : f64, weight_decay = 0.01 : f64, decoupled_weight_decay}

  return %loss, %fc1.weight_next#0, %fc1.weight_next#1, %fc1.weight_next#2, %fc1.weight_next#3, %fc1.bias_next#0, %fc1.bias_next#1, %fc1.bias_next#2, %fc1.bias_next#3, %fc2.weight_next#0, %fc2.weight_next#1, %fc2.weight_next#2, %fc2.weight_next#3, %fc2.bias_next#0, %fc2.bias_next#1, %fc2.bias_next#2, %fc2.bias_next#3, %fc3.weight_next#0, %fc3.weight_next#1, %fc3.weight_next#2, %fc3.weight_next#3, %fc3.bias_next#0, %fc3.bias_next#1, %fc3.bias_next#2, %fc3.bias_next#3
      : tensor<f32>, tensor<512x784xf32>, tensor<512x784xf32>, tensor<512x784xf32>, tensor<f32>, tensor<512xf32>, tensor<512xf32>, tensor<512xf32>, tensor<f32>, tensor<512x512xf32>, tensor<512x512xf32>, tensor<512x512xf32>, tensor<f32>, tensor<512xf32>, tensor<512xf32>, tensor<512xf32>, tensor<f32>, tensor<10x512xf32>, tensor<10x512xf32>, tensor<10x512xf32>, tensor<f32>, tensor<10xf32>, tensor<10xf32>, tensor<10xf32>, tensor<f32>
}

func.func @eval(
    %fc1.weight: tensor<512x784xf32> {train.role = #train.param<"fc1.weight">},
    %fc1.bias: tensor<512xf32> {train.role = #train.param<"fc1.bias">},
    %fc2.weight: tensor<512x512xf32> {train.role = #train.param<"fc2.weight">},
    %fc2.bias: tensor<512xf32> {train.role = #train.param<"fc2.bias">},
    %fc3.weight: tensor<10x512xf32> {train.role = #train.param<"fc3.weight">},
    %fc3.bias: tensor<10xf32> {train.role = #train.param<"fc3.bias">},
    %x: tensor<200x784xf32> {train.role = #train.input<"x">},
    %y: tensor<200xi64> {train.role = #train.input<"y">})
    -> (tensor<f32> {train.role = #train.output<"accuracy">})
    attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32

  // Forward.
  %z1_empty = tensor.empty() : tensor<200x512xf32>
  %z1_init = linalg.fill ins(%zero : f32) outs(%z1_empty : tensor<200x512xf32>) -> tensor<200x512xf32>
  %z1 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %fc1.weight : tensor<200x784xf32>, tensor<512x784xf32>)
      outs(%z1_init : tensor<200x512xf32>) -> tensor<200x512xf32>
  %h1_empty = tensor.empty() : tensor<200x512xf32>
  %h1 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z1, %fc1.bias : tensor<200x512xf32>, tensor<512xf32>)
      outs(%h1_empty : tensor<200x512xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    %r = arith.maximumf %s, %zero : f32
    linalg.yield %r : f32
  } -> tensor<200x512xf32>
  %z2_empty = tensor.empty() : tensor<200x512xf32>
  %z2_init = linalg.fill ins(%zero : f32) outs(%z2_empty : tensor<200x512xf32>) -> tensor<200x512xf32>
  %z2 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%h1, %fc2.weight : tensor<200x512xf32>, tensor<512x512xf32>)
      outs(%z2_init : tensor<200x512xf32>) -> tensor<200x512xf32>
  %h2_empty = tensor.empty() : tensor<200x512xf32>
  %h2 = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z2, %fc2.bias : tensor<200x512xf32>, tensor<512xf32>)
      outs(%h2_empty : tensor<200x512xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    %r = arith.maximumf %s, %zero : f32
    linalg.yield %r : f32
  } -> tensor<200x512xf32>
  %z3_empty = tensor.empty() : tensor<200x10xf32>
  %z3_init = linalg.fill ins(%zero : f32) outs(%z3_empty : tensor<200x10xf32>) -> tensor<200x10xf32>
  %z3 = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%h2, %fc3.weight : tensor<200x512xf32>, tensor<10x512xf32>)
      outs(%z3_init : tensor<200x10xf32>) -> tensor<200x10xf32>
  %logits_empty = tensor.empty() : tensor<200x10xf32>
  %logits = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z3, %fc3.bias : tensor<200x10xf32>, tensor<10xf32>)
      outs(%logits_empty : tensor<200x10xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %s = arith.addf %a0, %a1 : f32
    linalg.yield %s : f32
  } -> tensor<200x10xf32>

  // The largest logit of each row, and that of its label.
  %top_empty = tensor.empty() : tensor<200xf32>
  %top_init = linalg.fill ins(%lowest : f32) outs(%top_empty : tensor<200xf32>) -> tensor<200xf32>
  %top = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%logits : tensor<200x10xf32>)
      outs(%top_init : tensor<200xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %s = arith.maximumf %o, %a0 : f32
    linalg.yield %s : f32
  } -> tensor<200xf32>
  %picked_empty = tensor.empty() : tensor<200xf32>
  %picked_init = linalg.fill ins(%zero : f32) outs(%picked_empty : tensor<200xf32>) -> tensor<200xf32>
  %picked = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>, affine_map<(m, n) -> (m)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%logits, %y : tensor<200x10xf32>, tensor<200xi64>)
      outs(%picked_init : tensor<200xf32>) {
  ^bb0(%a0: f32, %a1: i64, %o: f32):
    %n = linalg.index 1 : index
    %c = arith.index_cast %n : index to i64
    %is = arith.cmpi eq, %c, %a1 : i64
    %v = arith.select %is, %a0, %zero : f32
    %s = arith.addf %o, %v : f32
    linalg.yield %s : f32
  } -> tensor<200xf32>

  // The share of rows whose label has the largest logit.
  %share = arith.constant 0.005 : f32
  %accuracy_empty = tensor.empty() : tensor<f32>
  %accuracy_init = linalg.fill ins(%zero : f32) outs(%accuracy_empty : tensor<f32>) -> tensor<f32>
  %accuracy = linalg.generic {
      indexing_maps = [affine_map<(m) -> (m)>, affine_map<(m) -> (m)>, affine_map<(m) -> ()>],
      iterator_types = ["reduction"]}
      ins(%top, %picked : tensor<200xf32>, tensor<200xf32>)
      outs(%accuracy_init : tensor<f32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %hit = arith.cmpf oeq, %a0, %a1 : f32
    %v = arith.select %hit, %share, %zero : f32
    %s = arith.addf %o, %v : f32
    linalg.yield %s : f32
  } -> tensor<f32>

  return %accuracy
      : tensor<f32>
}
