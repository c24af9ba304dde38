// RUN: plait-opt %s -split-input-file -train-update-rows -cse -canonicalize | FileCheck %s
// RUN: plait-opt %s -split-input-file -train-update-rows \
// RUN:   --remarks-filter='train-update-rows' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK --implicit-check-not=remark:

// Adagrad of an embedding: places, sums of a row for each token, and the update of
// rows that are read, once.

// REMARK: remark: {{.*}}"of 100 rows, at most 16 are updated: those that the step reads

// CHECK-LABEL: func.func @adagrad
// CHECK-SAME:    %[[IDS:[^:]*]]: tensor<16xi64>, %[[DY:[^:]*]]: tensor<16x8xf32>, %[[LR:[^:]*]]: tensor<f32>, %[[W:[^:]*]]: tensor<100x8xf32>, %[[S:[^:]*]]: tensor<100x8xf32>
// CHECK:         %[[P:.*]] = scf.for {{.*}} -> (tensor<100xi32>)
// CHECK:           tensor.insert
// CHECK:         %[[G:.*]] = scf.for {{.*}} -> (tensor<16x8xf32>)
// CHECK:           tensor.extract %[[P]]
// CHECK:           arith.addf
// CHECK:         %[[R:.*]]:2 = scf.for %[[I:.*]] = {{.*}} iter_args(%[[W0:.*]] = %[[W]], %[[S0:.*]] = %[[S]])
// CHECK:           %[[ID:.*]] = tensor.extract %[[IDS]][%[[I]]]
// CHECK:           %[[ROW:.*]] = arith.index_cast %[[ID]]
// CHECK:           tensor.extract %[[P]][%[[ROW]]]
// CHECK:           %[[LAST:.*]] = arith.cmpi eq, %{{.*}}, %[[I]]
// CHECK:           %[[COUNT:.*]] = arith.select %[[LAST]]
// CHECK:           scf.for %{{.*}} to %[[COUNT]] step {{.*}} iter_args(%[[W1:.*]] = %[[W0]], %[[S1:.*]] = %[[S0]])
// CHECK-DAG:         tensor.extract_slice %[[G]][{{.*}}, 0] [1, 8]
// CHECK-DAG:         tensor.extract_slice %[[W1]][%[[ROW]], 0] [1, 8]
// CHECK-DAG:         tensor.extract_slice %[[S1]][%[[ROW]], 0] [1, 8]
// CHECK:             linalg.generic {{.*}}, %[[LR]] :
// CHECK:             tensor.insert_slice {{.*}} into %[[W1]]
// CHECK:             tensor.insert_slice {{.*}} into %[[S1]]
// CHECK-NOT:     linalg.generic
// CHECK:         return %[[R]]#0, %[[R]]#1
#id = affine_map<(i, j) -> (i, j)>
#none = affine_map<(i, j) -> ()>
func.func @adagrad(%ids: tensor<16xi64>, %dy: tensor<16x8xf32>, %lr: tensor<f32>, %w: tensor<100x8xf32>, %s: tensor<100x8xf32>) -> (tensor<100x8xf32>, tensor<100x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) {
    %id = tensor.extract %ids[%i] : tensor<16xi64>
    %row = arith.index_cast %id : i64 to index
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%d : tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %x = arith.addf %out, %in : f32
      linalg.yield %x : f32
    } -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r:2 = linalg.generic {indexing_maps = [#id, #none, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%g, %lr : tensor<100x8xf32>, tensor<f32>) outs(%w, %s : tensor<100x8xf32>, tensor<100x8xf32>) {
  ^bb0(%gi: f32, %l: f32, %wi: f32, %si: f32):
    %sq = arith.mulf %gi, %gi : f32
    %s1 = arith.addf %si, %sq : f32
    %root = math.sqrt %s1 : f32
    %eps = arith.constant 1.0e-10 : f32
    %d = arith.addf %root, %eps : f32
    %q = arith.divf %gi, %d : f32
    %step = arith.mulf %l, %q : f32
    %w1 = arith.subf %wi, %step : f32
    linalg.yield %w1, %s1 : f32, f32
  } -> (tensor<100x8xf32>, tensor<100x8xf32>)
  return %r#0, %r#1 : tensor<100x8xf32>, tensor<100x8xf32>
}

// -----

// Where nothing is added to the root, a state of zero makes 0 / 0 of a gradient of
// zero; a decayed weight changes; and a momentum does.

// REMARK: remark: {{.*}}"all 100 rows are updated: the optimizer changes elements whose gradient is zero
// REMARK: remark: {{.*}}"all 100 rows are updated: the optimizer changes elements whose gradient is zero
// REMARK: remark: {{.*}}"all 100 rows are updated: the optimizer changes elements whose gradient is zero

// CHECK-LABEL: func.func @no_epsilon
// CHECK-NOT:     tensor<100xi32>
// CHECK:         linalg.generic {{.*}} ins(%{{.*}} : tensor<100x8xf32>) outs(%{{.*}}, %{{.*}} : tensor<100x8xf32>
// CHECK-LABEL: func.func @decay
// CHECK-NOT:     tensor<100xi32>
// CHECK-LABEL: func.func @momentum
// CHECK-NOT:     tensor<100xi32>
#id = affine_map<(i, j) -> (i, j)>
func.func @no_epsilon(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<100x8xf32>, %s: tensor<100x8xf32>) -> (tensor<100x8xf32>, tensor<100x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) {
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w, %s : tensor<100x8xf32>, tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32, %si: f32):
    %sq = arith.mulf %gi, %gi : f32
    %s1 = arith.addf %si, %sq : f32
    %root = math.sqrt %s1 : f32
    %q = arith.divf %gi, %root : f32
    %w1 = arith.subf %wi, %q : f32
    linalg.yield %w1, %s1 : f32, f32
  } -> (tensor<100x8xf32>, tensor<100x8xf32>)
  return %r#0, %r#1 : tensor<100x8xf32>, tensor<100x8xf32>
}

func.func @decay(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<100x8xf32>) -> tensor<100x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %decay = arith.constant 0.01 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) {
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w : tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32):
    %l2 = arith.mulf %decay, %wi : f32
    %g1 = arith.addf %gi, %l2 : f32
    %w1 = arith.subf %wi, %g1 : f32
    linalg.yield %w1 : f32
  } -> tensor<100x8xf32>
  return %r : tensor<100x8xf32>
}

func.func @momentum(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<100x8xf32>, %m: tensor<100x8xf32>) -> (tensor<100x8xf32>, tensor<100x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %mu = arith.constant 0.9 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) {
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w, %m : tensor<100x8xf32>, tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32, %mi: f32):
    %old = arith.mulf %mu, %mi : f32
    %m1 = arith.addf %old, %gi : f32
    %w1 = arith.subf %wi, %m1 : f32
    linalg.yield %w1, %m1 : f32, f32
  } -> (tensor<100x8xf32>, tensor<100x8xf32>)
  return %r#0, %r#1 : tensor<100x8xf32>, tensor<100x8xf32>
}

// -----

// No zeros to begin with (another product's part of a tied weight), somebody else
// who reads the gradient (a norm), and too many rows for it to pay.

// CHECK-LABEL: func.func @tied
// CHECK-NOT:     tensor<100xi32>
// CHECK-LABEL: func.func @norm
// CHECK-NOT:     tensor<100xi32>
// CHECK-LABEL: func.func @many
// CHECK-NOT:     tensor<20xi32>
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @tied(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %part: tensor<100x8xf32>, %w: tensor<100x8xf32>) -> tensor<100x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %part) -> (tensor<100x8xf32>) {
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w : tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32):
    %w1 = arith.subf %wi, %gi : f32
    linalg.yield %w1 : f32
  } -> tensor<100x8xf32>
  return %r : tensor<100x8xf32>
}

func.func @norm(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<100x8xf32>) -> (tensor<100x8xf32>, tensor<100x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) {
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w : tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32):
    %w1 = arith.subf %wi, %gi : f32
    linalg.yield %w1 : f32
  } -> tensor<100x8xf32>
  return %r, %g : tensor<100x8xf32>, tensor<100x8xf32>
}

func.func @many(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<20x8xf32>) -> tensor<20x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<20x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<20x8xf32>) -> tensor<20x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<20x8xf32>) {
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<20x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<20x8xf32>
    scf.yield %next : tensor<20x8xf32>
  }
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<20x8xf32>) outs(%w : tensor<20x8xf32>) {
  ^bb0(%gi: f32, %wi: f32):
    %w1 = arith.subf %wi, %gi : f32
    linalg.yield %w1 : f32
  } -> tensor<20x8xf32>
  return %r : tensor<20x8xf32>
}

// -----

// A sum makes +0 of a weight of -0; a loop that counts in i32 is left alone.

// REMARK: remark: {{.*}}"all 100 rows are updated: the optimizer changes elements whose gradient is zero

// CHECK-LABEL: func.func @ascend
// CHECK-NOT:     tensor<100xi32>
// CHECK-LABEL: func.func @narrow_index
// CHECK-NOT:     tensor<100xi32>
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @ascend(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<100x8xf32>) -> tensor<100x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) {
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w : tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32):
    %w1 = arith.addf %wi, %gi : f32
    linalg.yield %w1 : f32
  } -> tensor<100x8xf32>
  return %r : tensor<100x8xf32>
}

func.func @narrow_index(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<100x8xf32>) -> tensor<100x8xf32> {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %c16 = arith.constant 16 : i32
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %n = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) : i32 {
    %i = arith.index_cast %n : i32 to index
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w : tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32):
    %w1 = arith.subf %wi, %gi : f32
    linalg.yield %w1 : f32
  } -> tensor<100x8xf32>
  return %r : tensor<100x8xf32>
}

// -----

// A loop that writes a row before it reads the old one does not add to it. What a row's
// index depends on in a region (which becomes a select) goes along to each loop.

// REMARK: remark: {{.*}}"of 100 rows, at most 16 are updated: those that the step reads

// CHECK-LABEL: func.func @write_first
// CHECK-NOT:     tensor<100xi32>
// CHECK-LABEL: func.func @index_of_a_region
// CHECK:         scf.for {{.*}} -> (tensor<100xi32>)
// CHECK:           %[[ID:.*]] = tensor.extract %{{.*}} : tensor<16xindex>
// CHECK:           %[[IS:.*]] = arith.cmpi
// CHECK:           arith.select %[[IS]], %[[ID]]
// CHECK:         scf.for {{.*}} -> (tensor<100x8xf32>)
// CHECK:           %[[ID2:.*]] = tensor.extract %{{.*}} : tensor<16xindex>
// CHECK:           arith.select %{{.*}}, %[[ID2]]
#id = affine_map<(i, j) -> (i, j)>
func.func @write_first(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<100x8xf32>) -> tensor<100x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) {
    %row = tensor.extract %ids[%i] : tensor<16xindex>
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %next = tensor.insert_slice %d into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w : tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32):
    %w1 = arith.subf %wi, %gi : f32
    linalg.yield %w1 : f32
  } -> tensor<100x8xf32>
  return %r : tensor<100x8xf32>
}

func.func @index_of_a_region(%ids: tensor<16xindex>, %dy: tensor<16x8xf32>, %w: tensor<100x8xf32>) -> tensor<100x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c100 = arith.constant 100 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<100x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<100x8xf32>) -> tensor<100x8xf32>
  %g = scf.for %i = %c0 to %c16 step %c1 iter_args(%a = %z) -> (tensor<100x8xf32>) {
    %token = tensor.extract %ids[%i] : tensor<16xindex>
    %known = arith.cmpi ult, %token, %c100 : index
    %row = scf.if %known -> (index) {
      scf.yield %token : index
    } else {
      scf.yield %c1 : index
    }
    %d = tensor.extract_slice %dy[%i, 0] [1, 8] [1, 1] : tensor<16x8xf32> to tensor<1x8xf32>
    %old = tensor.extract_slice %a[%row, 0] [1, 8] [1, 1] : tensor<100x8xf32> to tensor<1x8xf32>
    %sum = linalg.add ins(%old, %d : tensor<1x8xf32>, tensor<1x8xf32>) outs(%old : tensor<1x8xf32>) -> tensor<1x8xf32>
    %next = tensor.insert_slice %sum into %a[%row, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<100x8xf32>
    scf.yield %next : tensor<100x8xf32>
  }
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : tensor<100x8xf32>) outs(%w : tensor<100x8xf32>) {
  ^bb0(%gi: f32, %wi: f32):
    %w1 = arith.subf %wi, %gi : f32
    linalg.yield %w1 : f32
  } -> tensor<100x8xf32>
  return %r : tensor<100x8xf32>
}
