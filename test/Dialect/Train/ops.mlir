// RUN: plait-opt %s --verify-roundtrip | FileCheck %s
// RUN: plait-opt %s --mlir-print-op-generic | plait-opt | FileCheck %s
// RUN: plait-opt %s --emit-bytecode | plait-opt | FileCheck %s

// Every role.

// CHECK-LABEL: func.func @roles
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.param<"w">}
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.state<"w", "exp_avg">}
// CHECK-SAME:    %{{.*}}: tensor<8xf32> {train.role = #train.state<"", "bn1.running_mean">}
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.pending<"w", "in0">}
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {train.role = #train.input<"x">}
// CHECK-SAME:    (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"w", "exp_avg">}, tensor<8xf32> {train.role = #train.next<"", "bn1.running_mean">}, tensor<4xf32> {train.role = #train.pending<"w", "in0">}, tensor<4xf32> {train.role = #train.output<"loss">})
// CHECK-SAME:    attributes {train.step}
func.func @roles(
    %w: tensor<4xf32> {train.role = #train.param<"w">},
    %m: tensor<4xf32> {train.role = #train.state<"w", "exp_avg">},
    %b: tensor<8xf32> {train.role = #train.state<"", "bn1.running_mean">},
    %p: tensor<4xf32> {train.role = #train.pending<"w", "in0">},
    %x: tensor<4xf32> {train.role = #train.input<"x">})
    -> (tensor<4xf32> {train.role = #train.next<"w">},
        tensor<4xf32> {train.role = #train.next<"w", "exp_avg">},
        tensor<8xf32> {train.role = #train.next<"", "bn1.running_mean">},
        tensor<4xf32> {train.role = #train.pending<"w", "in0">},
        tensor<4xf32> {train.role = #train.output<"loss">})
    attributes {train.step} {
  return %w, %m, %b, %p, %x : tensor<4xf32>, tensor<4xf32>, tensor<8xf32>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @update
// CHECK:         %{{.*}} = train.update "signsgd" ins(%{{.*}} : tensor<4xf32>) outs(%{{.*}} : tensor<4xf32>) {
// CHECK:           train.yield %{{.*}} : tensor<4xf32>
// CHECK-NEXT:    } : tensor<4xf32>
func.func @update(%g: tensor<4xf32>, %w: tensor<4xf32>) -> tensor<4xf32> {
  %w1 = train.update "signsgd" ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {
  ^bb0(%gt: tensor<4xf32>, %wt: tensor<4xf32>):
    %n = linalg.map ins(%gt, %wt : tensor<4xf32>, tensor<4xf32>) outs(%wt : tensor<4xf32>)
      (%gi: f32, %wi: f32, %o: f32) {
        %lr = arith.constant 1.0e-2 : f32
        %s = math.copysign %lr, %gi : f32
        %d = arith.subf %wi, %s : f32
        linalg.yield %d : f32
      }
    train.yield %n : tensor<4xf32>
  } : tensor<4xf32>
  return %w1 : tensor<4xf32>
}

// CHECK-LABEL: func.func @cluster
// CHECK:         train.cluster <backward> ins(%{{.*}}, %{{.*}} : tensor<4xf32>, tensor<4xf32>) {
// CHECK:           train.sgd ins(%{{.*}} : tensor<4xf32>) outs(%{{.*}} : tensor<4xf32>) {lr = 1.000000e-01 : f64, train.placement = #train.placement<backward>}
// CHECK:         } : tensor<4xf32>
func.func @cluster(%g: tensor<4xf32>, %w: tensor<4xf32>) -> tensor<4xf32> {
  %w1 = train.cluster <backward> ins(%g, %w : tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%gt: tensor<4xf32>, %wt: tensor<4xf32>):
    %n = train.sgd ins(%gt : tensor<4xf32>) outs(%wt : tensor<4xf32>)
        {lr = 0.1 : f64, train.placement = #train.placement<backward>}
    train.yield %n : tensor<4xf32>
  } : tensor<4xf32>
  return %w1 : tensor<4xf32>
}

// CHECK-LABEL: func.func @placements
// CHECK: #train.placement<baseline>
// CHECK: #train.placement<forward>
func.func @placements(%g: tensor<4xf32>, %w: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<baseline>}
  %1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64, train.placement = #train.placement<forward>}
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// A learning rate that is an operand; momentum has two states.

// CHECK-LABEL: func.func @sgd
// CHECK:         train.sgd ins(%{{.*}}, %{{.*}} : tensor<4xf32>, tensor<f32>) outs(%{{.*}} : tensor<4xf32>)
// CHECK:         %{{.*}}:3 = train.sgd ins(%{{.*}} : tensor<4xf32>) outs(%{{.*}}, %{{.*}}, %{{.*}} : tensor<4xf32>, tensor<4xf32>, tensor<f32>) {lr = 1.000000e-01 : f64, momentum = 9.000000e-01 : f64, nesterov}
func.func @sgd(%g: tensor<4xf32>, %lr: tensor<f32>, %w: tensor<4xf32>, %m: tensor<4xf32>, %i: tensor<f32>)
    -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = train.sgd ins(%g, %lr : tensor<4xf32>, tensor<f32>) outs(%w : tensor<4xf32>)
  %1:3 = train.sgd ins(%g : tensor<4xf32>) outs(%w, %m, %i : tensor<4xf32>, tensor<4xf32>, tensor<f32>)
      {lr = 0.1 : f64, momentum = 0.9 : f64, nesterov}
  return %0, %1#0 : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @adaptive
// CHECK:         train.adagrad {{.*}} {lr = 1.000000e-02 : f64, lr_decay = 1.000000e-01 : f64}
// CHECK:         %{{.*}}:2 = train.rmsprop ins
// CHECK:         %{{.*}}:4 = train.rmsprop {{.*}} {centered, lr = 1.000000e-02 : f64, momentum = 9.000000e-01 : f64}
// CHECK:         train.adadelta {{.*}} {lr = 1.000000e+00 : f64}
func.func @adaptive(%g: tensor<4xf32>, %w: tensor<4xf32>, %a: tensor<4xf32>, %b: tensor<4xf32>,
                    %c: tensor<4xf32>, %t: tensor<f32>) -> tensor<4xf32> {
  %0:3 = train.adagrad ins(%g : tensor<4xf32>) outs(%w, %a, %t : tensor<4xf32>, tensor<4xf32>, tensor<f32>)
      {lr = 0.01 : f64, lr_decay = 0.1 : f64}
  %1:2 = train.rmsprop ins(%g : tensor<4xf32>) outs(%w, %a : tensor<4xf32>, tensor<4xf32>) {lr = 0.01 : f64}
  %2:4 = train.rmsprop ins(%g : tensor<4xf32>)
      outs(%w, %a, %b, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
      {lr = 0.01 : f64, centered, momentum = 0.9 : f64}
  %3:3 = train.adadelta ins(%g : tensor<4xf32>) outs(%w, %a, %b : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
      {lr = 1.0 : f64}
  return %0#0 : tensor<4xf32>
}

// CHECK-LABEL: func.func @adam
// CHECK:         %{{.*}}:4 = train.adam {{.*}} {betas = array<f64: 8.000000e-01, 0.98999999999999999>, decoupled_weight_decay, lr = 1.000000e-03 : f64, weight_decay = 1.000000e-02 : f64}
// CHECK:         %{{.*}}:5 = train.adam {{.*}} {amsgrad, lr = 1.000000e-03 : f64, maximize}
func.func @adam(%g: tensor<4xf32>, %w: tensor<4xf32>, %m: tensor<4xf32>, %v: tensor<4xf32>,
                %x: tensor<4xf32>, %t: tensor<f32>) -> tensor<4xf32> {
  %0:4 = train.adam ins(%g : tensor<4xf32>) outs(%w, %m, %v, %t : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, betas = array<f64: 0.8, 0.99>, weight_decay = 1.0e-2 : f64, decoupled_weight_decay}
  %1:5 = train.adam ins(%g : tensor<4xf32>)
      outs(%w, %m, %v, %x, %t : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, amsgrad, maximize}
  return %0#0 : tensor<4xf32>
}

// The contract holds for a declaration and for a step without roles too.
// CHECK-LABEL: func.func private @declared(tensor<4xf32>) attributes {train.step}
func.func private @declared(tensor<4xf32>) attributes {train.step}
