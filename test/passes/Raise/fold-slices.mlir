// RUN: plait-opt %s -train-fold-slices | FileCheck %s
// RUN: plait-opt %s -train-fold-slices -train-fuse-elementwise -canonicalize -cse -train-merge-siblings | FileCheck %s --check-prefix=ONE

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// Every second element, from the second on: no view is left.

// CHECK-DAG: #[[$ODD:.*]] = affine_map<(d0, d1) -> (d0, d1 * 2 + 1)>
// CHECK-DAG: #[[$ROW:.*]] = affine_map<(d0) -> (2, d0)>

// CHECK-LABEL: func.func @strided
// CHECK:         %[[X:.*]] = linalg.generic
// CHECK-NOT:     tensor.extract_slice
// CHECK:         linalg.generic {indexing_maps = [#[[$ODD]], {{.*}} ins(%[[X]] : tensor<4x16xf32>)
func.func @strided(%a: tensor<4x16xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x16xf32>
  %x = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  %odd = tensor.extract_slice %x[0, 1] [4, 8] [1, 2] : tensor<4x16xf32> to tensor<4x8xf32>
  %e2 = tensor.empty() : tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%odd : tensor<4x8xf32>) outs(%e2 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.absf %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// One row: the dimension that the slice drops is a constant.

// CHECK-LABEL: func.func @row
// CHECK-NOT:     tensor.extract_slice
// CHECK:         linalg.generic {indexing_maps = [#[[$ROW]],
func.func @row(%a: tensor<4x16xf32>) -> tensor<16xf32> {
  %e = tensor.empty() : tensor<4x16xf32>
  %x = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  %row = tensor.extract_slice %x[2, 0] [1, 16] [1, 1] : tensor<4x16xf32> to tensor<16xf32>
  %e2 = tensor.empty() : tensor<16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]} ins(%row : tensor<16xf32>) outs(%e2 : tensor<16xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.absf %in : f32
    linalg.yield %s : f32
  } -> tensor<16xf32>
  return %y : tensor<16xf32>
}

// The first half: a loop that indexes a dimension alone runs over all of it.

// CHECK-LABEL: func.func @front
// CHECK:         tensor.extract_slice
func.func @front(%a: tensor<4x16xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x16xf32>
  %x = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  %half = tensor.extract_slice %x[0, 0] [4, 8] [1, 1] : tensor<4x16xf32> to tensor<4x8xf32>
  %e2 = tensor.empty() : tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%half : tensor<4x8xf32>) outs(%e2 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.absf %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// The first row, alone. As a map the loop i would run over all four rows, and
// add them: nothing else says how far it goes.

#toRow = affine_map<(i, j) -> (0, j)>

// CHECK-LABEL: func.func @sum_of_first_row
// CHECK:         tensor.extract_slice
func.func @sum_of_first_row(%a: tensor<4x16xf32>, %init: tensor<1x16xf32>) -> tensor<1x16xf32> {
  %e = tensor.empty() : tensor<4x16xf32>
  %x = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  %row = tensor.extract_slice %x[0, 0] [1, 16] [1, 1] : tensor<4x16xf32> to tensor<1x16xf32>
  %y = linalg.generic {indexing_maps = [#ij, #toRow], iterator_types = ["reduction", "parallel"]} ins(%row : tensor<1x16xf32>) outs(%init : tensor<1x16xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = arith.addf %in, %o : f32
    linalg.yield %s : f32
  } -> tensor<1x16xf32>
  return %y : tensor<1x16xf32>
}

// A slice of an argument may be a view of a parameter: it stays one.

// CHECK-LABEL: func.func @argument
// CHECK:         tensor.extract_slice
func.func @argument(%a: tensor<4x16xf32>) -> tensor<4x8xf32> {
  %odd = tensor.extract_slice %a[0, 1] [4, 8] [1, 2] : tensor<4x16xf32> to tensor<4x8xf32>
  %e2 = tensor.empty() : tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%odd : tensor<4x8xf32>) outs(%e2 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.absf %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// The maximum of two neighbours, and which it is: one loop after the one that
// makes the tensor, where there were a comparison and two selections.

// ONE-LABEL: func.func @window
// ONE-COUNT-2: linalg.generic
// ONE-NOT:     linalg.generic
// ONE:         return
func.func @window(%a: tensor<4x16xf32>) -> (tensor<4x8xf32>, tensor<4x8xi64>) {
  %e = tensor.empty() : tensor<4x16xf32>
  %x = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%in: f32, %o: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  %even = tensor.extract_slice %x[0, 0] [4, 8] [1, 2] : tensor<4x16xf32> to tensor<4x8xf32>
  %odd = tensor.extract_slice %x[0, 1] [4, 8] [1, 2] : tensor<4x16xf32> to tensor<4x8xf32>
  %eb = tensor.empty() : tensor<4x8xi1>
  %better = linalg.generic {indexing_maps = [#ij, #ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%odd, %even : tensor<4x8xf32>, tensor<4x8xf32>) outs(%eb : tensor<4x8xi1>) {
  ^bb0(%l: f32, %r: f32, %o: i1):
    %s = arith.cmpf ogt, %l, %r : f32
    linalg.yield %s : i1
  } -> tensor<4x8xi1>
  %ef = tensor.empty() : tensor<4x8xf32>
  %value = linalg.generic {indexing_maps = [#ij, #ij, #ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%better, %odd, %even : tensor<4x8xi1>, tensor<4x8xf32>, tensor<4x8xf32>) outs(%ef : tensor<4x8xf32>) {
  ^bb0(%c: i1, %l: f32, %r: f32, %o: f32):
    %s = arith.select %c, %l, %r : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  %ei = tensor.empty() : tensor<4x8xi64>
  %index = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%better : tensor<4x8xi1>) outs(%ei : tensor<4x8xi64>) {
  ^bb0(%c: i1, %o: i64):
    %s = arith.extui %c : i1 to i64
    linalg.yield %s : i64
  } -> tensor<4x8xi64>
  return %value, %index : tensor<4x8xf32>, tensor<4x8xi64>
}
