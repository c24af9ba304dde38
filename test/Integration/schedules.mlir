// A step with what the example lacks: a tied weight read by three products, a
// momentum and its flag, a learning rate that is an input, JAX's order for one
// parameter, an update written as a region. All schedules give the same bits.

// RUN: plait-run %s --random-inputs -n 20 --block=5 --compare | FileCheck %s
// RUN: plait-run %s --random-inputs -n 2 --print-schedule | FileCheck %s --check-prefix=SCHEDULE

// CHECK-COUNT-3: equal bit for bit
// SCHEDULE-DAG: w {{.*}}backward {{.*}}one nest {{.*}}gradient 0 bytes
// SCHEDULE-DAG: u {{.*}}backward {{.*}}one nest {{.*}}gradient 0 bytes
// SCHEDULE-DAG: b {{.*}}backward {{.*}}one nest {{.*}}gradient 0 bytes

func.func @step(
    %w: tensor<64x64xf32> {train.role = #train.param<"w">}, %m: tensor<64x64xf32> {train.role = #train.state<"w", "momentum_buffer">}, %i: tensor<f32> {train.role = #train.state<"w", "initialized">},
    %b: tensor<64xf32> {train.role = #train.param<"b">},
    %u: tensor<64x64xf32> {train.role = #train.param<"u">},
    %x: tensor<64x64xf32> {train.role = #train.input<"x">}, %lr: tensor<f32> {train.role = #train.input<"lr">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<64x64xf32> {train.role = #train.next<"w">}, tensor<64x64xf32> {train.role = #train.next<"w", "momentum_buffer">}, tensor<f32> {train.role = #train.next<"w", "initialized">}, tensor<64xf32> {train.role = #train.next<"b">}, tensor<64x64xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %e1 = tensor.empty() : tensor<64xf32>
  %z1 = linalg.fill ins(%c0 : f32) outs(%e1 : tensor<64xf32>) -> tensor<64xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %h = linalg.matmul ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %hu = linalg.matmul ins(%h, %u : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %y0 = linalg.matmul ins(%hu, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i,j)->(i,j)>, affine_map<(i,j)->(j)>, affine_map<(i,j)->(i,j)>], iterator_types = ["parallel","parallel"]} ins(%y0, %b : tensor<64x64xf32>, tensor<64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%a: f32, %bb: f32, %o: f32):
    %k = arith.constant 0.001 : f32
    %t = arith.addf %a, %bb : f32
    %t2 = arith.mulf %t, %k : f32
    linalg.yield %t2 : f32
  } -> tensor<64x64xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<64x64xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %d1 = linalg.matmul ins(%y, %h : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %dh = linalg.matmul ins(%y, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %d2 = linalg.matmul ins(%x, %dh : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %dw = linalg.add ins(%d1, %d2 : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %du = linalg.matmul ins(%h, %y : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %db = linalg.reduce { arith.addf } ins(%y : tensor<64x64xf32>) outs(%z1 : tensor<64xf32>) dimensions = [0]
  %w1:3 = train.sgd ins(%dw, %lr : tensor<64x64xf32>, tensor<f32>) outs(%w, %m, %i : tensor<64x64xf32>, tensor<64x64xf32>, tensor<f32>) {momentum = 0.9 : f64}
  %b1 = train.sgd ins(%db, %lr : tensor<64xf32>, tensor<f32>) outs(%b : tensor<64xf32>)
  %u1 = train.update "signsgd" ins(%du : tensor<64x64xf32>) outs(%u : tensor<64x64xf32>) {
  ^bb0(%gt: tensor<64x64xf32>, %wt: tensor<64x64xf32>):
    %n = linalg.map ins(%gt, %wt : tensor<64x64xf32>, tensor<64x64xf32>) outs(%wt : tensor<64x64xf32>)
      (%gi: f32, %wi: f32, %o: f32) {
        %r = arith.constant 1.0e-3 : f32
        %s = math.copysign %r, %gi : f32
        %d = arith.subf %wi, %s : f32
        linalg.yield %d : f32
      }
    train.yield %n : tensor<64x64xf32>
  } : tensor<64x64xf32>
  return %loss, %w1#0, %w1#1, %w1#2, %b1, %u1 : tensor<f32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<f32>, tensor<64xf32>, tensor<64x64xf32>
}
