// RUN: plait-opt %s --train-approximate-math | FileCheck %s

// CHECK-LABEL: @approximated
//   CHECK-NOT: math.{{exp|log|tanh|erf|log1p|expm1}} 
//       CHECK: return
func.func @approximated(%x: f32) -> (f32, f32, f32, f32, f32, f32) {
  %exp = math.exp %x : f32
  %log = math.log %x : f32
  %tanh = math.tanh %x : f32
  %erf = math.erf %x : f32
  %log1p = math.log1p %x : f32
  %expm1 = math.expm1 %x : f32
  return %exp, %log, %tanh, %erf, %log1p, %expm1 : f32, f32, f32, f32, f32, f32
}

// The conversion to LLVM would add or subtract the 1, and x with it.

// CHECK-LABEL: @precise_f64
//       CHECK: %[[U:.*]] = arith.addf %arg0, %{{.*}} : f64
//       CHECK: math.log %[[U]]
//       CHECK: arith.divf
//       CHECK: %[[E:.*]] = math.exp %arg0
//       CHECK: math.log %[[E]]
//       CHECK: arith.divf
func.func @precise_f64(%x: f64) -> (f64, f64) {
  %log1p = math.log1p %x : f64
  %expm1 = math.expm1 %x : f64
  return %log1p, %expm1 : f64, f64
}

// CHECK-LABEL: @do_not_approximate_f64
//       CHECK: math.exp %{{.*}} : f64
func.func @do_not_approximate_f64(%x: f64) -> f64 {
  %exp = math.exp %x : f64
  return %exp : f64
}

// CHECK-LABEL: @do_not_approximate_others
//       CHECK: math.sin
func.func @do_not_approximate_others(%x: f32) -> f32 {
  %sin = math.sin %x : f32
  return %sin : f32
}
