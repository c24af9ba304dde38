// A sum of what a label selects is read where the label is; each other sum stays.

// RUN: plait-opt %s --train-fuse-elementwise --split-input-file | FileCheck %s

#rows = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>
#none = affine_map<(d0, d1) -> ()>

// The loss of each row, and how many rows count, by one mask.
// CHECK-LABEL: @loss
// CHECK-SAME: (%[[X:.*]]: tensor<8x10xf32>, %[[LABEL:.*]]: tensor<8xi64>)
// CHECK-NOT: tensor<8x10xi1>
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel"]} ins(%[[LABEL]] : tensor<8xi64>)
// CHECK: ^bb0(%[[L:.*]]: i64, %[[OUT:.*]]: f32):
// CHECK:   %[[I:.*]] = arith.index_cast %[[L]] : i64 to index
// CHECK:   %[[IS:.*]] = arith.cmpi ult, %[[I]], %c10
// CHECK:   %[[AT:.*]] = arith.select %[[IS]], %[[I]], %c0
// CHECK:   %[[COUNTS:.*]] = arith.andi %[[IS]]
// CHECK:   %[[ROW:.*]] = linalg.index 0
// CHECK:   %[[TERM:.*]] = tensor.extract %[[X]][%[[ROW]], %[[AT]]]
// CHECK:   %[[S:.*]] = arith.select %[[COUNTS]], %[[TERM]], %cst
// CHECK:   arith.addf %[[S]], %[[OUT]]
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction"]} ins(%[[LABEL]] : tensor<8xi64>)
// CHECK-NOT: linalg.generic
func.func @loss(%x: tensor<8x10xf32>, %label: tensor<8xi64>) -> (tensor<8xf32>, tensor<f32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %ignored = arith.constant -100 : i64
  %e = tensor.empty() : tensor<8x10xi1>
  %mask = linalg.generic {indexing_maps = [#rows, #all], iterator_types = ["parallel", "parallel"]}
      ins(%label : tensor<8xi64>) outs(%e : tensor<8x10xi1>) {
  ^bb0(%l: i64, %out: i1):
    %i = linalg.index 1 : index
    %class = arith.index_cast %i : index to i64
    %is = arith.cmpi eq, %class, %l : i64
    %counts = arith.cmpi ne, %l, %ignored : i64
    %both = arith.andi %is, %counts : i1
    linalg.yield %both : i1
  } -> tensor<8x10xi1>
  %er = tensor.empty() : tensor<8xf32>
  %zr = linalg.fill ins(%zero : f32) outs(%er : tensor<8xf32>) -> tensor<8xf32>
  %loss = linalg.generic {indexing_maps = [#all, #all, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%mask, %x : tensor<8x10xi1>, tensor<8x10xf32>) outs(%zr : tensor<8xf32>) {
  ^bb0(%m: i1, %v: f32, %out: f32):
    %s = arith.select %m, %v, %zero : f32
    %sum = arith.addf %out, %s : f32
    linalg.yield %sum : f32
  } -> tensor<8xf32>
  %es = tensor.empty() : tensor<f32>
  %zs = linalg.fill ins(%zero : f32) outs(%es : tensor<f32>) -> tensor<f32>
  %count = linalg.generic {indexing_maps = [#all, #none], iterator_types = ["reduction", "reduction"]}
      ins(%mask : tensor<8x10xi1>) outs(%zs : tensor<f32>) {
  ^bb0(%m: i1, %out: f32):
    %s = arith.select %m, %one, %zero : f32
    %sum = arith.addf %s, %out : f32
    linalg.yield %sum : f32
  } -> tensor<f32>
  return %loss, %count : tensor<8xf32>, tensor<f32>
}

// -----

#rows = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>

// What a class has a label for of its own, is a whole row of labels.
// CHECK-LABEL: @label_of_each_class
// CHECK: iterator_types = ["parallel", "reduction"]
func.func @label_of_each_class(%x: tensor<8x10xf32>, %label: tensor<8x10xi64>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %r = linalg.generic {indexing_maps = [#all, #all, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%label, %x : tensor<8x10xi64>, tensor<8x10xf32>) outs(%z : tensor<8xf32>) {
  ^bb0(%l: i64, %v: f32, %out: f32):
    %i = linalg.index 1 : index
    %class = arith.index_cast %i : index to i64
    %is = arith.cmpi eq, %class, %l : i64
    %s = arith.select %is, %v, %zero : f32
    %sum = arith.addf %out, %s : f32
    linalg.yield %sum : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

#rows = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>

// 300 classes in eight bits: a label is that of two.
// CHECK-LABEL: @classes_share_labels
// CHECK: iterator_types = ["parallel", "reduction"]
func.func @classes_share_labels(%x: tensor<8x300xf32>, %label: tensor<8xi8>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %r = linalg.generic {indexing_maps = [#rows, #all, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%label, %x : tensor<8xi8>, tensor<8x300xf32>) outs(%z : tensor<8xf32>) {
  ^bb0(%l: i8, %v: f32, %out: f32):
    %i = linalg.index 1 : index
    %class = arith.index_cast %i : index to i8
    %is = arith.cmpi eq, %class, %l : i8
    %s = arith.select %is, %v, %zero : f32
    %sum = arith.addf %out, %s : f32
    linalg.yield %sum : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

#rows = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>

// All that the label does not select is added.
// CHECK-LABEL: @others_count
// CHECK: iterator_types = ["parallel", "reduction"]
func.func @others_count(%x: tensor<8x10xf32>, %label: tensor<8xi64>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %small = arith.constant 0.1 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %r = linalg.generic {indexing_maps = [#rows, #all, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%label, %x : tensor<8xi64>, tensor<8x10xf32>) outs(%z : tensor<8xf32>) {
  ^bb0(%l: i64, %v: f32, %out: f32):
    %i = linalg.index 1 : index
    %class = arith.index_cast %i : index to i64
    %is = arith.cmpi eq, %class, %l : i64
    %s = arith.select %is, %v, %small : f32
    %sum = arith.addf %out, %s : f32
    linalg.yield %sum : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

#rows = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>

// The sum begins with something: where it is -0, zeros make it +0.
// CHECK-LABEL: @not_from_zero
// CHECK: iterator_types = ["parallel", "reduction"]
func.func @not_from_zero(%x: tensor<8x10xf32>, %label: tensor<8xi64>, %first: tensor<8xf32>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %r = linalg.generic {indexing_maps = [#rows, #all, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%label, %x : tensor<8xi64>, tensor<8x10xf32>) outs(%first : tensor<8xf32>) {
  ^bb0(%l: i64, %v: f32, %out: f32):
    %i = linalg.index 1 : index
    %class = arith.index_cast %i : index to i64
    %is = arith.cmpi eq, %class, %l : i64
    %s = arith.select %is, %v, %zero : f32
    %sum = arith.addf %out, %s : f32
    linalg.yield %sum : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

#rows = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>

// What has regions, or an effect, stays where it is.
// CHECK-LABEL: @regions
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: scf.if
func.func @regions(%x: tensor<8x10xf32>, %label: tensor<8xi64>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %r = linalg.generic {indexing_maps = [#rows, #all, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%label, %x : tensor<8xi64>, tensor<8x10xf32>) outs(%z : tensor<8xf32>) {
  ^bb0(%l: i64, %v: f32, %out: f32):
    %i = linalg.index 1 : index
    %class = arith.index_cast %i : index to i64
    %is = arith.cmpi eq, %class, %l : i64
    %positive = arith.cmpf ogt, %v, %zero : f32
    %t = scf.if %positive -> f32 {
      %exp = math.exp %v : f32
      scf.yield %exp : f32
    } else {
      scf.yield %v : f32
    }
    %s = arith.select %is, %t, %zero : f32
    %sum = arith.addf %out, %s : f32
    linalg.yield %sum : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// CHECK-LABEL: @effects
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: cf.assert
func.func @effects(%x: tensor<8x10xf32>, %label: tensor<8xi64>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %r = linalg.generic {indexing_maps = [#rows, #all, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%label, %x : tensor<8xi64>, tensor<8x10xf32>) outs(%z : tensor<8xf32>) {
  ^bb0(%l: i64, %v: f32, %out: f32):
    %i = linalg.index 1 : index
    %class = arith.index_cast %i : index to i64
    %is = arith.cmpi eq, %class, %l : i64
    %ordered = arith.cmpf ord, %v, %v : f32
    cf.assert %ordered, "not a number"
    %s = arith.select %is, %v, %zero : f32
    %sum = arith.addf %out, %s : f32
    linalg.yield %sum : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}
