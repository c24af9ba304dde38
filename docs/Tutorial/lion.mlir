// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-schedule{policy=backward})' | FileCheck %s
// RUN: plait-run %s --random-inputs -n 200 --print-schedule --log=%t.csv | FileCheck %s --check-prefix=TRAIN
// RUN: plait-run %s --random-inputs -n 200 --schedule=baseline | FileCheck %s --check-prefix=BASELINE
// RUN: FileCheck %s --check-prefix=FIRST < %t.csv

// One linear layer, mean squared error, and an optimizer that Plait does not
// know: Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms",
// 2023). docs/Tutorial/new-optimizer.md explains it.
//
//   plait-run docs/Tutorial/lion.mlir --random-inputs -n 200

// TRAIN:      weight  backward   one nest  gradient 0 bytes
// TRAIN-NEXT: backward: 200 steps, {{.*}}, loss 0.029592
// BASELINE:   baseline: 200 steps, {{.*}}, loss 0.029592
// FIRST:      1,0.463724

// CHECK-LABEL: func.func @step
// CHECK:         train.cluster <backward>
// CHECK:           %[[GRAD:.*]] = linalg.matmul
// CHECK:           train.update "lion" ins(%[[GRAD]] : tensor<16x64xf32>)
// CHECK:             train.placement = #train.placement<backward>
// CHECK:           train.yield
// CHECK:         return

func.func @step(
    %w: tensor<16x64xf32> {train.role = #train.param<"weight">},
    %m: tensor<16x64xf32> {train.role = #train.state<"weight", "exp_avg">},
    %x: tensor<32x64xf32> {train.role = #train.input<"x">},
    %y: tensor<32x16xf32> {train.role = #train.input<"y">})
    -> (
    tensor<f32> {train.role = #train.output<"loss">},
    tensor<16x64xf32> {train.role = #train.next<"weight">},
    tensor<16x64xf32> {train.role = #train.next<"weight", "exp_avg">})
    attributes {train.step} {
  %zero = arith.constant 0.0 : f32

  // Forward, and the gradient of the loss.
  %z_init = tensor.empty() : tensor<32x16xf32>
  %z_zero = linalg.fill ins(%zero : f32) outs(%z_init : tensor<32x16xf32>) -> tensor<32x16xf32>
  %z = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %w : tensor<32x64xf32>, tensor<16x64xf32>)
      outs(%z_zero : tensor<32x16xf32>) -> tensor<32x16xf32>
  %loss_init = tensor.empty() : tensor<f32>
  %loss_zero = linalg.fill ins(%zero : f32) outs(%loss_init : tensor<f32>) -> tensor<f32>
  %loss = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> ()>],
      iterator_types = ["reduction", "reduction"]}
      ins(%z, %y : tensor<32x16xf32>, tensor<32x16xf32>)
      outs(%loss_zero : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %scale = arith.constant 0.001953125 : f32
    %e = arith.subf %a, %b : f32
    %q = arith.mulf %e, %e : f32
    %p = arith.mulf %q, %scale : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  %dz_init = tensor.empty() : tensor<32x16xf32>
  %dz = linalg.generic {
      indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%z, %y : tensor<32x16xf32>, tensor<32x16xf32>)
      outs(%dz_init : tensor<32x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %scale = arith.constant 0.00390625 : f32
    %e = arith.subf %a, %b : f32
    %g = arith.mulf %e, %scale : f32
    linalg.yield %g : f32
  } -> tensor<32x16xf32>

  // Backward.
  %dw_init = tensor.empty() : tensor<16x64xf32>
  %dw_zero = linalg.fill ins(%zero : f32) outs(%dw_init : tensor<16x64xf32>) -> tensor<16x64xf32>
  %dw = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%dz, %x : tensor<32x16xf32>, tensor<32x64xf32>)
      outs(%dw_zero : tensor<16x64xf32>) -> tensor<16x64xf32>

  // Update: one linalg.generic makes the parameter and its state.
  %w1, %m1 = train.update "lion" ins(%dw : tensor<16x64xf32>)
      outs(%w, %m : tensor<16x64xf32>, tensor<16x64xf32>) {
  ^bb0(%gt: tensor<16x64xf32>, %wt: tensor<16x64xf32>, %mt: tensor<16x64xf32>):
    %wn, %mn = linalg.generic {
        indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
        iterator_types = ["parallel", "parallel"]}
        ins(%gt : tensor<16x64xf32>)
        outs(%wt, %mt : tensor<16x64xf32>, tensor<16x64xf32>) {
    ^bb0(%g: f32, %p: f32, %avg: f32):
      %lr = arith.constant 1.0e-3 : f32
      %decay = arith.constant 0.999 : f32 // 1 - lr * weight_decay, 1.0
      %beta1 = arith.constant 0.9 : f32
      %rest1 = arith.constant 0.1 : f32 // 1 - beta1
      %beta2 = arith.constant 0.99 : f32
      %rest2 = arith.constant 0.01 : f32 // 1 - beta2
      %nothing = arith.constant 0.0 : f32
      // c = beta1 * exp_avg + (1 - beta1) * grad
      %c0 = arith.mulf %avg, %beta1 : f32
      %c1 = arith.mulf %g, %rest1 : f32
      %c = arith.addf %c0, %c1 : f32
      // param = param * (1 - lr * weight_decay) - lr * sign(c)
      %size = math.copysign %lr, %c : f32
      %is_zero = arith.cmpf oeq, %c, %nothing : f32
      %move = arith.select %is_zero, %nothing, %size : f32
      %kept = arith.mulf %p, %decay : f32
      %p1 = arith.subf %kept, %move : f32
      // exp_avg = beta2 * exp_avg + (1 - beta2) * grad
      %a0 = arith.mulf %avg, %beta2 : f32
      %a1 = arith.mulf %g, %rest2 : f32
      %avg1 = arith.addf %a0, %a1 : f32
      linalg.yield %p1, %avg1 : f32, f32
    } -> (tensor<16x64xf32>, tensor<16x64xf32>)
    train.yield %wn, %mn : tensor<16x64xf32>, tensor<16x64xf32>
  } : tensor<16x64xf32>, tensor<16x64xf32>

  return %loss, %w1, %m1 : tensor<f32>, tensor<16x64xf32>, tensor<16x64xf32>
}
