// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{policy=baseline})' | FileCheck %s --check-prefix=AVX2
// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{policy=baseline register-rows=8 register-cols=32})' | FileCheck %s --check-prefix=AVX512

// The register tile of a product is the pipeline's to say: text for another
// compiler does not ask the CPU that it is made on.

// AVX2-NOT:     vector<32xf32>
// AVX2-COUNT-6: llvm.intr.fmuladd({{.*}} -> vector<16xf32>
// AVX2-NOT:     vector<32xf32>

// AVX512-COUNT-8: llvm.intr.fmuladd({{.*}} -> vector<32xf32>

func.func @product(%a: tensor<48x64xf32>, %b: tensor<64x96xf32>) -> tensor<48x96xf32> attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<48x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<48x96xf32>) -> tensor<48x96xf32>
  %c = linalg.matmul ins(%a, %b : tensor<48x64xf32>, tensor<64x96xf32>) outs(%z : tensor<48x96xf32>) -> tensor<48x96xf32>
  return %c : tensor<48x96xf32>
}
