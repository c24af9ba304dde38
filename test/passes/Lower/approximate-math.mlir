// RUN: plait-opt %s --train-approximate-math | FileCheck %s

// CHECK-LABEL: @approximated
//   CHECK-NOT: math.{{exp|log|tanh|erf}} 
//       CHECK: return
func.func @approximated(%x: f32) -> (f32, f32, f32, f32) {
  %exp = math.exp %x : f32
  %log = math.log %x : f32
  %tanh = math.tanh %x : f32
  %erf = math.erf %x : f32
  return %exp, %log, %tanh, %erf : f32, f32, f32, f32
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
