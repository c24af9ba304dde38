// RUN: plait-opt %s -train-lower-contractions=parallel=false -canonicalize -cse | FileCheck %s

// Bias and ReLU on the vectors of a tile, when the last block of k is done; one
// that is not whole goes through the edge workspace and is done element by
// element. There is no other loop.

// CHECK-LABEL: func.func @bias_relu
// CHECK-SAME:    %[[B:.*]]: memref<100xf32>
// CHECK:         vector.fma
// CHECK:         arith.cmpi sge
// CHECK:         scf.if
// CHECK:           vector.load %[[B]]
// CHECK-NEXT:      %[[U:.*]] = arith.addf {{.*}} : vector<16xf32>
// CHECK-NEXT:      %[[Y:.*]] = arith.maximumf %[[U]], %{{.*}} : vector<16xf32>
// CHECK-NEXT:      vector.store %[[Y]]
// CHECK:           memref.load %[[B]]
// CHECK-NEXT:      arith.addf {{.*}} : f32
// CHECK-NOT:     linalg.generic
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>
func.func @bias_relu(%b: memref<100xf32>, %x: memref<128x600xf32>, %w: memref<600x100xf32>, %y: memref<128x100xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%y : memref<128x100xf32>)
  linalg.matmul ins(%x, %w : memref<128x600xf32>, memref<600x100xf32>) outs(%y : memref<128x100xf32>)
  linalg.generic {indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]} ins(%b : memref<100xf32>) outs(%y : memref<128x100xf32>) attrs = {plait.epilogue} {
  ^bb0(%bias: f32, %out: f32):
    %s = arith.addf %out, %bias : f32
    %m = arith.maximumf %s, %zero : f32
    linalg.yield %m : f32
  }
  return
}

// Another reader: sums are stored, too.

// CHECK-LABEL: func.func @stores_sums
// CHECK-SAME:    %[[P:[a-z0-9]*]]: memref<128x96xf32>, %[[Y:[a-z0-9]*]]: memref<128x96xf32>
// CHECK:         vector.fma
// CHECK:         vector.store %[[S:.*]], %[[P]]
// CHECK-NEXT:    vector.store %{{.*}}, %[[Y]]
// CHECK-NOT:     linalg.generic
func.func @stores_sums(%p: memref<128x96xf32>, %y: memref<128x96xf32>, %x: memref<128x64xf32>, %w: memref<64x96xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%p : memref<128x96xf32>)
  linalg.matmul ins(%x, %w : memref<128x64xf32>, memref<64x96xf32>) outs(%p : memref<128x96xf32>)
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : memref<128x96xf32>) outs(%y : memref<128x96xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %out: f32):
    %s = arith.mulf %in, %in : f32
    linalg.yield %s : f32
  }
  return
}

// The sum of all parts, and dot products while they are in cache.

// CHECK-LABEL: func.func @split
// CHECK:         vector.fma
// CHECK:         arith.maximumf {{.*}} : vector<8xf32>
// CHECK-NOT:     linalg.generic
// CHECK-LABEL: func.func @dots
// CHECK:         vector.fma
// CHECK:         vector.maskedload
// CHECK:         arith.maximumf {{.*}} : vector<8xf32>
// CHECK-NEXT:    vector.maskedstore
// CHECK-NOT:     linalg.generic
// CHECK:         return
func.func @split(%x: memref<4x1024xf32>, %w: memref<1024x1024xf32>, %y: memref<4x1024xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%y : memref<4x1024xf32>)
  linalg.matmul {plait.split_k = 4 : i64} ins(%x, %w : memref<4x1024xf32>, memref<1024x1024xf32>) outs(%y : memref<4x1024xf32>)
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%y : memref<4x1024xf32>) attrs = {plait.epilogue} {
  ^bb0(%out: f32):
    %m = arith.maximumf %out, %zero : f32
    linalg.yield %m : f32
  }
  return
}
func.func @dots(%x: memref<4x1024xf32>, %w: memref<1000x1024xf32>, %y: memref<4x1000xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%y : memref<4x1000xf32>)
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (j, k)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : memref<4x1024xf32>, memref<1000x1024xf32>) outs(%y : memref<4x1000xf32>) attrs = {plait.dot = 1024 : i64} {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  }
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%y : memref<4x1000xf32>) attrs = {plait.epilogue} {
  ^bb0(%out: f32):
    %m = arith.maximumf %out, %zero : f32
    linalg.yield %m : f32
  }
  return
}

// Sums that are stored element by element, across the rows of the accumulator:
// the epilogue of a task is vectors along these, behind all of k.

// CHECK-LABEL: func.func @panels_along_k
// CHECK-SAME:    %[[G:[a-z0-9]*]]: memref<16x512xf32>, %[[Y:[a-z0-9]*]]: memref<16x512xf32>
// CHECK:         vector.fma
// CHECK-NOT:     arith.mulf {{.*}} : f32
// CHECK:         memref.store %{{.*}}, %[[Y]]
// CHECK-NOT:     arith.mulf {{.*}} : f32
// CHECK:         vector.maskedload %[[Y]]
// CHECK:         vector.maskedload %[[G]]
// CHECK-NEXT:    arith.mulf {{.*}} : vector<
// CHECK-NEXT:    vector.maskedstore %[[Y]]
// CHECK-NOT:     linalg.generic
func.func @panels_along_k(%g: memref<16x512xf32>, %y: memref<16x512xf32>, %x: memref<16x8x32xf32>, %w: memref<8x512x32xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%y : memref<16x512xf32>)
  linalg.generic {indexing_maps = [affine_map<(m, n, o, i) -> (m, o, i)>, affine_map<(m, n, o, i) -> (o, n, i)>, affine_map<(m, n, o, i) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : memref<16x8x32xf32>, memref<8x512x32xf32>) outs(%y : memref<16x512xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %m : f32
    linalg.yield %s : f32
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%g : memref<16x512xf32>) outs(%y : memref<16x512xf32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %out: f32):
    %s = arith.mulf %out, %in : f32
    linalg.yield %s : f32
  }
  return
}

// The product of two vectors is one element.

// CHECK-LABEL: func.func @scalar
// CHECK-SAME:    %[[B:[a-z0-9]*]]: memref<f32>
// CHECK-SAME:    %[[Y:[a-z0-9]*]]: memref<f32>)
// CHECK:         vector.fma
// CHECK:         memref.load %[[B]][]
// CHECK-NEXT:    %[[SUM:.*]] = arith.addf {{.*}} : f32
// CHECK-NEXT:    memref.store %[[SUM]], %[[Y]][]
// CHECK-NOT:     linalg.generic
func.func @scalar(%b: memref<f32>, %x: memref<512xf32>, %w: memref<512xf32>, %y: memref<f32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%y : memref<f32>)
  linalg.dot ins(%x, %w : memref<512xf32>, memref<512xf32>) outs(%y : memref<f32>)
  linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%b : memref<f32>) outs(%y : memref<f32>) attrs = {plait.epilogue} {
  ^bb0(%in: f32, %out: f32):
    %s = arith.addf %out, %in : f32
    linalg.yield %s : f32
  }
  return
}
