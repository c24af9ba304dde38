// RUN: plait-opt %s --train-expand-bfloat16 | FileCheck %s --implicit-check-not=fastmath
// RUN: plait-opt %s --train-expand-bfloat16 --canonicalize \
// RUN:   | FileCheck %s --check-prefix=KEPT
// RUN: plait-opt %s --math-extend-to-supported-types=extra-types=f16 \
// RUN:   --arith-emulate-unsupported-floats=source-types=bf16 --train-expand-bfloat16 \
// RUN:   | FileCheck %s --check-prefix=EMULATED --implicit-check-not='truncf {{.*}} bf16' \
// RUN:   --implicit-check-not='extf {{.*}} bf16'

// CHECK-LABEL: @truncate
// CHECK-SAME:      %[[X:.*]]: f32
//  CHECK-DAG:   %[[NAN:.*]] = arith.constant 32704 : i16
//  CHECK-DAG:   %[[NO:.*]] = arith.cmpf une, %[[X]], %[[X]]
//      CHECK:   %[[LOW:.*]] = arith.trunci {{.*}} : i32 to i16
//      CHECK:   %[[BITS:.*]] = arith.select %[[NO]], %[[NAN]], %[[LOW]]
//      CHECK:   arith.bitcast %[[BITS]] : i16 to bf16
func.func @truncate(%x: f32) -> bf16 {
  %y = arith.truncf %x : f32 to bf16
  return %y : bf16
}

// By way of an f32 that was rounded to odd.
// CHECK-LABEL: @truncate_f64
// CHECK-SAME:      %[[X:.*]]: vector<4xf64>
//      CHECK:   %[[NEAR:.*]] = arith.truncf %[[X]] : vector<4xf64> to vector<4xf32>
//      CHECK:   %[[BACK:.*]] = arith.extf %[[NEAR]]
//      CHECK:   %[[INEXACT:.*]] = arith.cmpf one, %[[BACK]], %[[X]]
//      CHECK:   %[[ABOVE:.*]] = arith.cmpf ogt,
//      CHECK:   arith.subi
//      CHECK:   %[[LOST:.*]] = arith.extui %[[INEXACT]]
//      CHECK:   arith.ori %{{.*}}, %[[LOST]] : vector<4xi32>
//      CHECK:   arith.bitcast %{{.*}} : vector<4xi16> to vector<4xbf16>
func.func @truncate_f64(%x: vector<4xf64>) -> vector<4xbf16> {
  %y = arith.truncf %x : vector<4xf64> to vector<4xbf16>
  return %y : vector<4xbf16>
}

// CHECK-LABEL: @extend_to_f64
//      CHECK:   arith.shli
//      CHECK:   %[[WIDE:.*]] = arith.bitcast %{{.*}} : i32 to f32
//      CHECK:   arith.extf %[[WIDE]] : f32 to f64
func.func @extend_to_f64(%x: bf16) -> f64 {
  %y = arith.extf %x : bf16 to f64
  return %y : f64
}

// CHECK-LABEL: @leave_f16
//      CHECK:   arith.truncf %{{.*}} : f32 to f16
func.func @leave_f16(%x: f32) -> f16 {
  %y = arith.truncf %x : f32 to f16
  return %y : f16
}

// The value of the first op is rounded before the second reads it, whatever the
// conversions allow.
// KEPT-LABEL: @keep_rounding
//       KEPT:   arith.addf
//       KEPT:   arith.trunci {{.*}} : i32 to i16
//       KEPT:   %[[ROUNDED:.*]] = arith.bitcast %{{.*}} : i32 to f32
//       KEPT:   arith.mulf %[[ROUNDED]], %[[ROUNDED]]
func.func @keep_rounding(%x: f32, %y: f32) -> f32 {
  %sum = arith.addf %x, %y : f32
  %short = arith.truncf %sum fastmath<contract> : f32 to bf16
  %long = arith.extf %short fastmath<contract> : bf16 to f32
  %square = arith.mulf %long, %long : f32
  return %square : f32
}

// EMULATED-LABEL: @every_op
//       EMULATED:   arith.addf {{.*}} : f32
//       EMULATED:   %[[SUM:.*]] = arith.bitcast %{{.*}} : i16 to bf16
//       EMULATED:   arith.bitcast %[[SUM]] : bf16 to i16
//       EMULATED:   math.powf {{.*}} : f32
//       EMULATED:   %[[POWER:.*]] = arith.bitcast %{{.*}} : i16 to bf16
//       EMULATED:   arith.bitcast %[[POWER]] : bf16 to i16
//       EMULATED:   arith.cmpf olt, {{.*}} : f32
//       EMULATED:   arith.sitofp {{.*}} : i64 to f32
func.func @every_op(%x: bf16, %y: bf16, %n: i64) -> (i1, bf16) {
  %sum = arith.addf %x, %y : bf16
  %power = math.powf %sum, %y : bf16
  %less = arith.cmpf olt, %power, %x : bf16
  %converted = arith.sitofp %n : i64 to bf16
  return %less, %converted : i1, bf16
}
