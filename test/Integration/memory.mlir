// What is reported is what is resident: tensors and arena, which are known before
// anything is allocated, the data, and the process itself, which is measured
// before there are tensors.

// DEFINE: %{check} = %python %S/Inputs/check.py
// DEFINE: %{honest} = "abs(a['resident_bytes'] - a['process_bytes'] - a['data_bytes'] - a['peak_bytes']) < 0.1 * a['peak_bytes']"
// DEFINE: %{small} = "abs(a['resident_bytes'] - a['process_bytes'] - a['data_bytes'] - a['peak_bytes']) < 0.1 * a['peak_bytes'] + 1.2e6"

// RUN: rm -rf %t && mkdir %t
// RUN: plait-run %s --random-inputs -n 3 --schedule=backward --report=%t/backward.json | FileCheck %s
// RUN: %{check} %t/backward.json -- %{honest} "2e8 < a['peak_bytes'] < 2.1e8 and a['gradient_bytes'] == 0"

// CHECK:      backward: 3 steps
// CHECK-NEXT: {{^}}20{{[0-9.]+}} MB of tensors and arena, 0.1 of data; {{[0-9.]+}} resident, {{[0-9.]+}} of them program and compiler

// The gradient is in the arena; under forward, its factors cross to the next step.
// RUN: plait-run %s --random-inputs -n 3 --schedule=baseline --report=%t/baseline.json
// RUN: %{check} %t/baseline.json -- %{honest} "a['arena_bytes'] >= a['gradient_bytes'] == 2**26"
// RUN: plait-run %s --random-inputs -n 3 --schedule=forward --report=%t/forward.json
// RUN: %{check} %t/forward.json -- %{honest} "a['pending_bytes'] == 2**16 and a['gradient_bytes'] == 0"

// Of a model of 5 MB as well, but for the megabyte that any step takes: pages of
// code and of the mathematics it calls, and the threads' stacks.
// RUN: plait-run %S/../../examples/mlp.mlir --random-inputs -n 3 --schedule=baseline --threads=2 --report=%t/small.json
// RUN: %{check} %t/small.json -- %{small} "a['arena_bytes'] >= a['gradient_bytes'] > 1.6e6"
// RUN: plait-run %S/../../examples/mlp.mlir --random-inputs -n 3 --schedule=backward --threads=2 --report=%t/small.json
// RUN: %{check} %t/small.json -- %{small} "5e6 < a['peak_bytes'] < 5.3e6"
// RUN: plait-run %S/../../examples/mlp.mlir --random-inputs -n 3 --schedule=forward --threads=2 --report=%t/small.json
// RUN: %{check} %t/small.json -- %{small}

// Of tensors that were read from a file there is no second copy.
// RUN: plait-run %s --random-inputs -n 1 --save=%t/save --report=%t/one.json
// RUN: plait-run %s --inputs=%t/save/model.safetensors --inputs=%t/save/optimizer.safetensors --random-inputs -n 1 --report=%t/read.json
// RUN: %{check} %t/read.json -- %{honest}
// RUN: rm -rf %t

func.func @step(
    %w: tensor<4096x4096xf32> {train.role = #train.param<"w">},
    %m: tensor<4096x4096xf32> {train.role = #train.state<"w", "exp_avg">},
    %v: tensor<4096x4096xf32> {train.role = #train.state<"w", "exp_avg_sq">},
    %n: tensor<f32> {train.role = #train.state<"w", "step">},
    %x: tensor<2x4096xf32> {train.role = #train.input<"x">},
    %dy: tensor<2x4096xf32> {train.role = #train.input<"dy">})
    -> (tensor<4096x4096xf32> {train.role = #train.next<"w">},
        tensor<4096x4096xf32> {train.role = #train.next<"w", "exp_avg">},
        tensor<4096x4096xf32> {train.role = #train.next<"w", "exp_avg_sq">},
        tensor<f32> {train.role = #train.next<"w", "step">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4096x4096xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%dy, %x : tensor<2x4096xf32>, tensor<2x4096xf32>) outs(%z : tensor<4096x4096xf32>) -> tensor<4096x4096xf32>
  %w1, %m1, %v1, %n1 = train.adam ins(%dw : tensor<4096x4096xf32>)
      outs(%w, %m, %v, %n : tensor<4096x4096xf32>, tensor<4096x4096xf32>, tensor<4096x4096xf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, betas = array<f64: 0.9, 0.999>, eps = 1.0e-8 : f64}
  return %w1, %m1, %v1, %n1 : tensor<4096x4096xf32>, tensor<4096x4096xf32>, tensor<4096x4096xf32>, tensor<f32>
}
