// REQUIRES: clang
// RUN: plait-opt %s --plait-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: FileCheck %s --input-file=%t.ll
// RUN: clang -O2 -Wno-override-module -ffp-contract=off %t.ll %S/Inputs/bfloat16.c -lm -o %t
// RUN: %t | FileCheck %s --check-prefix=BITS

// A step in bfloat16 needs nothing but the C library: no conversion is left for
// which LLVM would call a function that only recent runtime libraries have. The
// program computes each op in float, rounds, and compares bits.

// CHECK-LABEL: define void @step
//   CHECK-NOT: {{fptrunc|fpext}}{{.*}}bfloat
//   CHECK-NOT: {{(fadd|fmul|fdiv|fcmp).*}}bfloat
//       CHECK: ret void

// BITS: 512 numbers, 0 differ

#id = affine_map<(i) -> (i)>
func.func @step(%x: tensor<512xf32>, %y: tensor<512xf32>, %d: tensor<512xf64>)
    -> (tensor<512xf32>, tensor<512xf64>) attributes {train.step} {
  %e = tensor.empty() : tensor<512xf32>
  %f = tensor.empty() : tensor<512xf64>
  %r:2 = linalg.generic {indexing_maps = [#id, #id, #id, #id, #id], iterator_types = ["parallel"]}
      ins(%x, %y, %d : tensor<512xf32>, tensor<512xf32>, tensor<512xf64>)
      outs(%e, %f : tensor<512xf32>, tensor<512xf64>) {
  ^bb0(%xi: f32, %yi: f32, %di: f64, %ei: f32, %fi: f64):
    %two = arith.constant 2.0 : bf16
    %a = arith.truncf %xi : f32 to bf16
    %b = arith.truncf %yi : f32 to bf16
    %sum = arith.addf %a, %b : bf16
    %product = arith.mulf %sum, %b : bf16
    %quotient = arith.divf %product, %a : bf16
    %less = arith.cmpf olt, %quotient, %sum : bf16
    %chosen = arith.select %less, %quotient, %product : bf16
    %power = math.powf %chosen, %two : bf16
    %size = math.absf %power : bf16
    %difference = arith.subf %size, %a : bf16
    %result = arith.extf %difference : bf16 to f32
    %short = arith.truncf %di : f64 to bf16
    %long = arith.extf %short : bf16 to f64
    linalg.yield %result, %long : f32, f64
  } -> (tensor<512xf32>, tensor<512xf64>)
  return %r#0, %r#1 : tensor<512xf32>, tensor<512xf64>
}
