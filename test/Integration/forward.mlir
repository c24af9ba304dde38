// Graphs whose updates may not wait for the next step, or may not be in one loop
// nest with their first reader, or nearly so. All schedules give the same bits.

// RUN: split-file %s %t

// A product of W with itself: each panel of one needs all of the other.
// RUN: plait-run %t/gram.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/gram.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=WAITS

// The product adds to W.
// RUN: plait-run %t/accumulated.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/accumulated.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=WAITS

// The product reads W and its momentum.
// RUN: plait-run %t/state_reader.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/state_reader.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=WAITS

// W is a vector: the product contracts all of it.
// RUN: plait-run %t/regression.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/regression.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=WAITS

// Steps whose flag is 0 are skipped.
// RUN: plait-run %t/skipped.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/skipped.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=STAYS

// The new value is an output, too.
// RUN: plait-run %t/returned.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/returned.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=STAYS

// The new value is the next value of something else, too.
// RUN: plait-run %t/target.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/target.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=STAYS

// Two updates of W; one is only looked at.
// RUN: plait-run %t/two_updates.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/two_updates.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=STAYS

// The old value is kept as a state.
// RUN: plait-run %t/previous.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/previous.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=NEST

// What waits is an output and a state, too.
// RUN: plait-run %t/gradient_kept.mlir --random-inputs -n 5 --block=5 --compare | FileCheck %s
// RUN: plait-run %t/gradient_kept.mlir --random-inputs -n 1 --schedule=forward --print-schedule | FileCheck %s --check-prefix=NEST

// CHECK-COUNT-3: equal bit for bit
// WAITS: w {{.*}}forward {{.*}}alone
// STAYS: w {{.*}}baseline {{.*}}alone
// NEST:  w {{.*}}forward {{.*}}one nest

//--- gram.mlir
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%w, %w : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul ins(%x, %y : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %w1 = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-3 : f64}
  return %loss, %w1 : tensor<f32>, tensor<24x24xf32>
}

//--- accumulated.mlir
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%x, %x : tensor<24x24xf32>, tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul ins(%x, %y : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %w1 = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-3 : f64}
  return %loss, %w1 : tensor<f32>, tensor<24x24xf32>
}

//--- state_reader.mlir
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(i, j) -> (i, j)>
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %m: tensor<24x24xf32> {train.role = #train.state<"w", "m">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.next<"w">}, tensor<24x24xf32> {train.role = #train.next<"w", "m">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%m, %w : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %h = linalg.matmul ins(%y, %x : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%h : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul indexing_maps = [#km, #kn, #mn] ins(%x, %x : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %w1:2 = train.update "momentum" ins(%dw : tensor<24x24xf32>) outs(%w, %m : tensor<24x24xf32>, tensor<24x24xf32>) {
  ^bb0(%g: tensor<24x24xf32>, %wo: tensor<24x24xf32>, %mo: tensor<24x24xf32>):
    %mn = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<24x24xf32>) outs(%mo : tensor<24x24xf32>) {
    ^bb0(%a: f32, %o: f32):
      %k = arith.constant 0.5 : f32
      %p = arith.mulf %o, %k : f32
      %r = arith.addf %p, %a : f32
      linalg.yield %r : f32
    } -> tensor<24x24xf32>
    %wn = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%mn : tensor<24x24xf32>) outs(%wo : tensor<24x24xf32>) {
    ^bb0(%a: f32, %o: f32):
      %k = arith.constant 1.0e-3 : f32
      %p = arith.mulf %a, %k : f32
      %r = arith.subf %o, %p : f32
      linalg.yield %r : f32
    } -> tensor<24x24xf32>
    train.yield %wn, %mn : tensor<24x24xf32>, tensor<24x24xf32>
  } : tensor<24x24xf32>, tensor<24x24xf32>
  return %loss, %w1#0, %w1#1 : tensor<f32>, tensor<24x24xf32>, tensor<24x24xf32>
}

//--- regression.mlir
func.func @step(
    %w: tensor<8xf32> {train.role = #train.param<"w">}, %x: tensor<32x8xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %ey = tensor.empty() : tensor<32xf32>
  %zy = linalg.fill ins(%c0 : f32) outs(%ey : tensor<32xf32>) -> tensor<32xf32>
  %ew = tensor.empty() : tensor<8xf32>
  %zw = linalg.fill ins(%c0 : f32) outs(%ew : tensor<8xf32>) -> tensor<8xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matvec ins(%x, %w : tensor<32x8xf32>, tensor<8xf32>) outs(%zy : tensor<32xf32>) -> tensor<32xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<32xf32>) outs(%z0 : tensor<f32>) dimensions = [0]
  %dw = linalg.vecmat ins(%y, %x : tensor<32xf32>, tensor<32x8xf32>) outs(%zw : tensor<8xf32>) -> tensor<8xf32>
  %w1 = train.sgd ins(%dw : tensor<8xf32>) outs(%w : tensor<8xf32>) {lr = 1.0e-3 : f64}
  return %loss, %w1 : tensor<f32>, tensor<8xf32>
}

//--- skipped.mlir
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">},
    %flag: tensor<i1> {train.role = #train.input<"flag">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%x, %w : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul indexing_maps = [#km, #kn, #mn] ins(%x, %y : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %c = tensor.extract %flag[] : tensor<i1>
  %w1 = scf.if %c -> tensor<24x24xf32> {
    %n = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-3 : f64}
    scf.yield %n : tensor<24x24xf32>
  } else {
    scf.yield %w : tensor<24x24xf32>
  }
  return %loss, %w1 : tensor<f32>, tensor<24x24xf32>
}

//--- returned.mlir
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.next<"w">}, tensor<24x24xf32> {train.role = #train.output<"copy">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%x, %w : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul indexing_maps = [#km, #kn, #mn] ins(%x, %y : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %w1 = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-3 : f64}
  return %loss, %w1, %w1 : tensor<f32>, tensor<24x24xf32>, tensor<24x24xf32>
}

//--- target.mlir
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %t: tensor<24x24xf32> {train.role = #train.state<"", "target">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.next<"w">}, tensor<24x24xf32> {train.role = #train.next<"", "target">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%x, %w : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %q = linalg.matmul ins(%x, %t : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%q : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul ins(%q, %y : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %w1 = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-3 : f64}
  return %loss, %w1, %w1 : tensor<f32>, tensor<24x24xf32>, tensor<24x24xf32>
}

//--- two_updates.mlir
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.output<"look">}, tensor<24x24xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%x, %w : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul indexing_maps = [#km, #kn, #mn] ins(%x, %y : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %look = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-1 : f64}
  %w1 = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-3 : f64}
  return %loss, %look, %w1 : tensor<f32>, tensor<24x24xf32>, tensor<24x24xf32>
}

//--- previous.mlir
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %p: tensor<24x24xf32> {train.role = #train.state<"", "previous">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.next<"w">}, tensor<24x24xf32> {train.role = #train.next<"", "previous">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%x, %w : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %q = linalg.matmul ins(%y, %p : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%y : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul ins(%x, %q : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %w1 = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-3 : f64}
  return %loss, %w1, %w : tensor<f32>, tensor<24x24xf32>, tensor<24x24xf32>
}

//--- gradient_kept.mlir
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @step(
    %w: tensor<24x24xf32> {train.role = #train.param<"w">},
    %g: tensor<24x24xf32> {train.role = #train.state<"", "last">},
    %x: tensor<24x24xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">}, tensor<24x24xf32> {train.role = #train.next<"w">}, tensor<24x24xf32> {train.role = #train.next<"", "last">}, tensor<24x24xf32> {train.role = #train.output<"gradient">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x24xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<24x24xf32>) -> tensor<24x24xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %y = linalg.matmul ins(%x, %w : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %q = linalg.matmul ins(%y, %g : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %loss = linalg.reduce { arith.addf } ins(%q : tensor<24x24xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %dw = linalg.matmul indexing_maps = [#km, #kn, #mn] ins(%x, %y : tensor<24x24xf32>, tensor<24x24xf32>) outs(%z : tensor<24x24xf32>) -> tensor<24x24xf32>
  %w1 = train.sgd ins(%dw : tensor<24x24xf32>) outs(%w : tensor<24x24xf32>) {lr = 1.0e-3 : f64}
  return %loss, %w1, %dw, %dw : tensor<f32>, tensor<24x24xf32>, tensor<24x24xf32>, tensor<24x24xf32>
}
