// Blocks of products and panels of gradients follow the caches, which the pipeline
// is told of: text for another compiler does not ask the machine that it is made on.

// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm)' --dump-pass-pipeline -o /dev/null 2>&1 | FileCheck %s --check-prefix=DEFAULT
// DEFAULT: train-place{{.*}} panel-bytes=262144
// DEFAULT: train-fuse-clusters{panel-bytes=262144}
// DEFAULT: train-lower-contractions{block-k=256 block-m=96 block-n=256 {{.*}}register-cols=16 register-rows=6}

// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{l1-bytes=65536 l2-bytes=524288})' --dump-pass-pipeline -o /dev/null 2>&1 | FileCheck %s --check-prefix=OTHER
// OTHER: train-place{{.*}} panel-bytes=131072
// OTHER: train-fuse-clusters{panel-bytes=131072}
// OTHER: train-lower-contractions{block-k=512 block-m=24 block-n=64 {{.*}}register-cols=16 register-rows=6}

// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-schedule{l2-bytes=524288})' --dump-pass-pipeline -o /dev/null 2>&1 | FileCheck %s --check-prefix=SCHEDULE
// SCHEDULE: train-place{{.*}} panel-bytes=131072

// RUN: not plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{l1-bytes=0})' 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{l2-bytes=-1})' 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: block and register sizes must be positive

func.func @product(%a: tensor<48x64xf32>, %b: tensor<64x96xf32>) -> tensor<48x96xf32> attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<48x96xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<48x96xf32>) -> tensor<48x96xf32>
  %c = linalg.matmul ins(%a, %b : tensor<48x64xf32>, tensor<64x96xf32>) outs(%z : tensor<48x96xf32>) -> tensor<48x96xf32>
  return %c : tensor<48x96xf32>
}
