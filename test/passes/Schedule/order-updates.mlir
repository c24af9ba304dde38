// RUN: plait-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(train-order-updates))' \
// RUN:   | FileCheck %s
// RUN: not plait-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(train-order-updates))' \
// RUN:   --remarks-filter='.*' --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK --implicit-check-not=Remark=

// An old value that is read behind its update, although nothing asks for it: the
// update moves.

// CHECK-LABEL: func.func @move
// CHECK:         linalg.matmul
// CHECK-NEXT:    train.sgd
// CHECK-NEXT:    return
func.func @move(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32>) attributes {train.step} {
  %w1 = train.sgd ins(%dy : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %dx = linalg.matmul ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %w1, %dx : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The old value by another name; a cluster moves as a whole.

// CHECK-LABEL: func.func @move_cluster
// CHECK:         %[[V:.*]] = scf.if
// CHECK:         linalg.matmul ins(%{{.*}}, %[[V]]
// CHECK-NEXT:    train.cluster
// CHECK:         return
func.func @move_cluster(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>, %c: i1)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32>) attributes {train.step} {
  %v = scf.if %c -> tensor<4x4xf32> {
    scf.yield %w : tensor<4x4xf32>
  } else {
    scf.yield %dy : tensor<4x4xf32>
  }
  %w1 = train.cluster <backward> ins(%dy, %w : tensor<4x4xf32>, tensor<4x4xf32>) {
  ^bb0(%g: tensor<4x4xf32>, %old: tensor<4x4xf32>):
    %n = train.sgd ins(%g : tensor<4x4xf32>) outs(%old : tensor<4x4xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<4x4xf32>
  } : tensor<4x4xf32>
  %dx = linalg.matmul ins(%dy, %v : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %w1, %dx : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// How far the step has moved the parameter: that takes both values.

// REMARK: [Missed] order-updates | Category:train-order-updates | Function=w | Remark="update of "w" needs a copy of the old value: 'linalg.sub' at loc({{.*}}) reads it, and the update must come before 'linalg.sub' at loc({{.*}})"
// CHECK-LABEL: func.func @do_not_move_behind_use_of_new_value
// CHECK:         train.sgd
// CHECK-NEXT:    linalg.sub
func.func @do_not_move_behind_use_of_new_value(
    %w: tensor<4x4xf32> {train.role = #train.param<"w">}, %dy: tensor<4x4xf32>, %z: tensor<4x4xf32>)
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32>) attributes {train.step} {
  %w1 = train.sgd ins(%dy : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.1 : f64}
  %d = linalg.sub ins(%w1, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %w1, %d : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Each update reads what the other one replaces: there is no order of the two.

// REMARK: [Missed] order-updates {{.*}} Function=w | Remark="update of "w" needs a copy of the old value: 'train.update' at loc({{.*}}) reads it, and the update must come before 'train.update' at
// CHECK-LABEL: func.func @do_not_move_behind_update_of_what_it_reads
func.func @do_not_move_behind_update_of_what_it_reads(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %u: tensor<4xf32> {train.role = #train.param<"u">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %w1 = train.update "swap" ins(%g, %u : tensor<4xf32>, tensor<4xf32>) outs(%w : tensor<4xf32>) {
  ^bb0(%a: tensor<4xf32>, %other: tensor<4xf32>, %old: tensor<4xf32>):
    %n = linalg.add ins(%a, %other : tensor<4xf32>, tensor<4xf32>) outs(%old : tensor<4xf32>) -> tensor<4xf32>
    train.yield %n : tensor<4xf32>
  } : tensor<4xf32>
  %u1 = train.update "swap" ins(%g, %w : tensor<4xf32>, tensor<4xf32>) outs(%u : tensor<4xf32>) {
  ^bb0(%a: tensor<4xf32>, %other: tensor<4xf32>, %old: tensor<4xf32>):
    %n = linalg.add ins(%a, %other : tensor<4xf32>, tensor<4xf32>) outs(%old : tensor<4xf32>) -> tensor<4xf32>
    train.yield %n : tensor<4xf32>
  } : tensor<4xf32>
  return %w1, %u1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Two updates of one value: the second would need what the first has replaced.

// REMARK: [Missed] order-updates {{.*}} Function=w | Remark="update of "w" needs a copy of the old value: 'train.sgd'
// CHECK-LABEL: func.func @do_not_move_behind_other_update
func.func @do_not_move_behind_other_update(%w: tensor<4xf32> {train.role = #train.param<"w">}, %g: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32>) attributes {train.step} {
  %w1 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.1 : f64}
  %w2 = train.sgd ins(%g : tensor<4xf32>) outs(%w : tensor<4xf32>) {lr = 0.2 : f64}
  return %w1, %w2 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Two parameters that are pulled to each other. The gradient of "u" reads the old
// "w"; it was moved into the loop nest of its update, behind that of "w", and
// the whole of "w" was copied, twice in each step.

func.func @do_not_fuse_behind_other_update(
    %w: tensor<4xf32> {train.role = #train.param<"w">}, %u: tensor<4xf32> {train.role = #train.param<"u">}, %z: tensor<4xf32>)
    -> (tensor<4xf32> {train.role = #train.next<"w">}, tensor<4xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  // expected-note@+1 {{"w" is replaced here}}
  %w1 = train.cluster <backward> ins(%u, %w, %z : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%other: tensor<4xf32>, %old: tensor<4xf32>, %out: tensor<4xf32>):
    %g = linalg.sub ins(%old, %other : tensor<4xf32>, tensor<4xf32>) outs(%out : tensor<4xf32>) -> tensor<4xf32>
    %n = train.sgd ins(%g : tensor<4xf32>) outs(%old : tensor<4xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<4xf32>
  } : tensor<4xf32>
  %u1 = train.cluster <backward> ins(%w, %u, %z : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%other: tensor<4xf32>, %old: tensor<4xf32>, %out: tensor<4xf32>):
    // expected-error@+1 {{reads the old value of "w" in one loop nest with the update of "u", which comes after that of "w"; it must stay before it, outside of the nest}}
    %g = linalg.sub ins(%old, %other : tensor<4xf32>, tensor<4xf32>) outs(%out : tensor<4xf32>) -> tensor<4xf32>
    %n = train.sgd ins(%g : tensor<4xf32>) outs(%old : tensor<4xf32>) {lr = 0.1 : f64}
    train.yield %n : tensor<4xf32>
  } : tensor<4xf32>
  return %w1, %u1 : tensor<4xf32>, tensor<4xf32>
}
