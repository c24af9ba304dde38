#map = affine_map<(d0, d1) -> (d1)>
#map1 = affine_map<(d0, d1) -> (d0, d1)>
#map2 = affine_map<(d0, d1) -> (0, d1)>
#map3 = affine_map<(d0, d1) -> ()>
#map4 = affine_map<() -> ()>
#map5 = affine_map<(d0, d1) -> (d1, d0)>
#map6 = affine_map<(d0, d1) -> (d0)>
#map7 = affine_map<(d0, d1, d2) -> (d2, d0)>
#map8 = affine_map<(d0, d1, d2) -> (d2, d1)>
#map9 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map10 = affine_map<(d0, d1, d2) -> (d0, d2)>
#map11 = affine_map<(d0, d1, d2) -> (d1, d2)>
#map12 = affine_map<(d0) -> ()>
#map13 = affine_map<(d0) -> (d0)>
module @jit_step attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<12xf32> {tf.aliasing_output = 1 : i32}, %arg1: tensor<4xf32> {tf.aliasing_output = 2 : i32}, %arg2: tensor<16x12xf32> {tf.aliasing_output = 3 : i32}, %arg3: tensor<12x4xf32> {tf.aliasing_output = 4 : i32}, %arg4: tensor<i32> {tf.aliasing_output = 5 : i32}, %arg5: tensor<12xf32> {tf.aliasing_output = 6 : i32}, %arg6: tensor<4xf32> {tf.aliasing_output = 7 : i32}, %arg7: tensor<16x12xf32> {tf.aliasing_output = 8 : i32}, %arg8: tensor<12x4xf32> {tf.aliasing_output = 9 : i32}, %arg9: tensor<12xf32> {tf.aliasing_output = 10 : i32}, %arg10: tensor<4xf32> {tf.aliasing_output = 11 : i32}, %arg11: tensor<16x12xf32> {tf.aliasing_output = 12 : i32}, %arg12: tensor<12x4xf32> {tf.aliasing_output = 13 : i32}, %arg13: tensor<8x16xf32>, %arg14: tensor<8x4xf32>) -> (tensor<f32> {jax.result_info = "result[0]"}, tensor<12xf32> {jax.result_info = "result[1]['b1']"}, tensor<4xf32> {jax.result_info = "result[1]['b2']"}, tensor<16x12xf32> {jax.result_info = "result[1]['w1']"}, tensor<12x4xf32> {jax.result_info = "result[1]['w2']"}, tensor<i32> {jax.result_info = "result[2][0].count"}, tensor<12xf32> {jax.result_info = "result[2][0].mu['b1']"}, tensor<4xf32> {jax.result_info = "result[2][0].mu['b2']"}, tensor<16x12xf32> {jax.result_info = "result[2][0].mu['w1']"}, tensor<12x4xf32> {jax.result_info = "result[2][0].mu['w2']"}, tensor<12xf32> {jax.result_info = "result[2][0].nu['b1']"}, tensor<4xf32> {jax.result_info = "result[2][0].nu['b2']"}, tensor<16x12xf32> {jax.result_info = "result[2][0].nu['w1']"}, tensor<12x4xf32> {jax.result_info = "result[2][0].nu['w2']"}) {
    %cst = arith.constant 3.125000e-02 : f32
    %cst_0 = arith.constant 9.990000e-01 : f32
    %cst_1 = arith.constant 0.899999976 : f32
    %c1_i32 = arith.constant 1 : i32
    %c2147483647_i32 = arith.constant 2147483647 : i32
    %cst_2 = arith.constant 1.000000e+00 : f32
    %cst_3 = arith.constant 3.200000e+01 : f32
    %cst_4 = arith.constant 0.000000e+00 : f32
    %cst_5 = arith.constant dense<-1.000000e-03> : tensor<f32>
    %cst_6 = arith.constant dense<9.99999993E-9> : tensor<f32>
    %cst_7 = arith.constant dense<2147483647> : tensor<i32>
    %cst_8 = arith.constant dense<9.990000e-01> : tensor<f32>
    %cst_9 = arith.constant dense<1.000000e-03> : tensor<f32>
    %cst_10 = arith.constant dense<0.899999976> : tensor<f32>
    %cst_11 = arith.constant dense<1.000000e-01> : tensor<f32>
    %cst_12 = arith.constant dense<0.000000e+00> : tensor<f32>
    %cst_13 = arith.constant dense<2.000000e+00> : tensor<f32>
    %cst_14 = arith.constant dense<1.000000e+00> : tensor<f32>
    %0 = tensor.empty() : tensor<8x12xf32>
    %1 = linalg.fill ins(%cst_4 : f32) outs(%0 : tensor<8x12xf32>) -> tensor<8x12xf32>
    %2 = linalg.matmul ins(%arg13, %arg2 : tensor<8x16xf32>, tensor<16x12xf32>) outs(%1 : tensor<8x12xf32>) -> tensor<8x12xf32>
    %3 = tensor.empty() : tensor<1x12xf32>
    %4 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel"]} ins(%arg0 : tensor<12xf32>) outs(%3 : tensor<1x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x12xf32>
    %5 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "parallel"]} ins(%4 : tensor<1x12xf32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<8x12xf32>
    %6 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%2, %5 : tensor<8x12xf32>, tensor<8x12xf32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x12xf32>
    %7 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%6 : tensor<8x12xf32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = math.tanh %in : f32
      linalg.yield %156 : f32
    } -> tensor<8x12xf32>
    %8 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_14 : tensor<f32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<8x12xf32>
    %9 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%8, %7 : tensor<8x12xf32>, tensor<8x12xf32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.subf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x12xf32>
    %10 = tensor.empty() : tensor<8x4xf32>
    %11 = linalg.fill ins(%cst_4 : f32) outs(%10 : tensor<8x4xf32>) -> tensor<8x4xf32>
    %12 = linalg.matmul ins(%7, %arg3 : tensor<8x12xf32>, tensor<12x4xf32>) outs(%11 : tensor<8x4xf32>) -> tensor<8x4xf32>
    %13 = tensor.empty() : tensor<1x4xf32>
    %14 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel"]} ins(%arg1 : tensor<4xf32>) outs(%13 : tensor<1x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<1x4xf32>
    %15 = linalg.generic {indexing_maps = [#map2, #map1], iterator_types = ["parallel", "parallel"]} ins(%14 : tensor<1x4xf32>) outs(%10 : tensor<8x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<8x4xf32>
    %16 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%12, %15 : tensor<8x4xf32>, tensor<8x4xf32>) outs(%10 : tensor<8x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x4xf32>
    %17 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%16, %arg14 : tensor<8x4xf32>, tensor<8x4xf32>) outs(%10 : tensor<8x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.subf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x4xf32>
    %18 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%17, %17 : tensor<8x4xf32>, tensor<8x4xf32>) outs(%10 : tensor<8x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x4xf32>
    %19 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_13 : tensor<f32>) outs(%10 : tensor<8x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<8x4xf32>
    %20 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%19, %17 : tensor<8x4xf32>, tensor<8x4xf32>) outs(%10 : tensor<8x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x4xf32>
    %21 = tensor.empty() : tensor<f32>
    %22 = linalg.fill ins(%cst_4 : f32) outs(%21 : tensor<f32>) -> tensor<f32>
    %23 = linalg.generic {indexing_maps = [#map1, #map3], iterator_types = ["reduction", "reduction"]} ins(%18 : tensor<8x4xf32>) outs(%22 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = arith.addf %out, %in : f32
      linalg.yield %156 : f32
    } -> tensor<f32>
    %24 = linalg.generic {indexing_maps = [#map4, #map4], iterator_types = []} ins(%23 : tensor<f32>) outs(%21 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = arith.divf %in, %cst_3 : f32
      linalg.yield %156 : f32
    } -> tensor<f32>
    %25 = linalg.generic {indexing_maps = [#map4], iterator_types = []} outs(%21 : tensor<f32>) {
    ^bb0(%out: f32):
      linalg.yield %cst : f32
    } -> tensor<f32>
    %26 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%25 : tensor<f32>) outs(%10 : tensor<8x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<8x4xf32>
    %27 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%26, %20 : tensor<8x4xf32>, tensor<8x4xf32>) outs(%10 : tensor<8x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x4xf32>
    %28 = tensor.empty() : tensor<4xf32>
    %29 = linalg.fill ins(%cst_4 : f32) outs(%28 : tensor<4xf32>) -> tensor<4xf32>
    %30 = linalg.generic {indexing_maps = [#map5, #map6], iterator_types = ["parallel", "reduction"]} ins(%27 : tensor<8x4xf32>) outs(%29 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = arith.addf %out, %in : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %expanded = tensor.expand_shape %30 [[0, 1]] output_shape [1, 4] : tensor<4xf32> into tensor<1x4xf32>
    %31 = linalg.generic {indexing_maps = [#map5, #map6], iterator_types = ["parallel", "reduction"]} ins(%expanded : tensor<1x4xf32>) outs(%29 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = arith.addf %out, %in : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %32 = tensor.empty() : tensor<4x12xf32>
    %33 = linalg.fill ins(%cst_4 : f32) outs(%32 : tensor<4x12xf32>) -> tensor<4x12xf32>
    %34 = linalg.generic {indexing_maps = [#map7, #map8, #map9], iterator_types = ["parallel", "parallel", "reduction"]} ins(%27, %7 : tensor<8x4xf32>, tensor<8x12xf32>) outs(%33 : tensor<4x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      %157 = arith.addf %out, %156 : f32
      linalg.yield %157 : f32
    } -> tensor<4x12xf32>
    %35 = tensor.empty() : tensor<12x4xf32>
    %36 = linalg.generic {indexing_maps = [#map5, #map1], iterator_types = ["parallel", "parallel"]} ins(%34 : tensor<4x12xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %37 = linalg.generic {indexing_maps = [#map10, #map11, #map9], iterator_types = ["parallel", "parallel", "reduction"]} ins(%27, %arg3 : tensor<8x4xf32>, tensor<12x4xf32>) outs(%1 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      %157 = arith.addf %out, %156 : f32
      linalg.yield %157 : f32
    } -> tensor<8x12xf32>
    %38 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%37, %9 : tensor<8x12xf32>, tensor<8x12xf32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x12xf32>
    %39 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%38, %7 : tensor<8x12xf32>, tensor<8x12xf32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x12xf32>
    %40 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%38, %39 : tensor<8x12xf32>, tensor<8x12xf32>) outs(%0 : tensor<8x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<8x12xf32>
    %41 = tensor.empty() : tensor<12xf32>
    %42 = linalg.fill ins(%cst_4 : f32) outs(%41 : tensor<12xf32>) -> tensor<12xf32>
    %43 = linalg.generic {indexing_maps = [#map5, #map6], iterator_types = ["parallel", "reduction"]} ins(%40 : tensor<8x12xf32>) outs(%42 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = arith.addf %out, %in : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %expanded_15 = tensor.expand_shape %43 [[0, 1]] output_shape [1, 12] : tensor<12xf32> into tensor<1x12xf32>
    %44 = linalg.generic {indexing_maps = [#map5, #map6], iterator_types = ["parallel", "reduction"]} ins(%expanded_15 : tensor<1x12xf32>) outs(%42 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = arith.addf %out, %in : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %45 = tensor.empty() : tensor<12x16xf32>
    %46 = linalg.fill ins(%cst_4 : f32) outs(%45 : tensor<12x16xf32>) -> tensor<12x16xf32>
    %47 = linalg.generic {indexing_maps = [#map7, #map8, #map9], iterator_types = ["parallel", "parallel", "reduction"]} ins(%40, %arg13 : tensor<8x12xf32>, tensor<8x16xf32>) outs(%46 : tensor<12x16xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      %157 = arith.addf %out, %156 : f32
      linalg.yield %157 : f32
    } -> tensor<12x16xf32>
    %48 = tensor.empty() : tensor<16x12xf32>
    %49 = linalg.generic {indexing_maps = [#map5, #map1], iterator_types = ["parallel", "parallel"]} ins(%47 : tensor<12x16xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %50 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_11 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %51 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%50, %44 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %52 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_10 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %53 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%52, %arg5 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %54 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%51, %53 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %55 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_11 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %56 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%55, %31 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %57 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_10 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %58 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%57, %arg6 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %59 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%56, %58 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %60 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_11 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %61 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%60, %49 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %62 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_10 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %63 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%62, %arg7 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %64 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%61, %63 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %65 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_11 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %66 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%65, %36 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %67 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_10 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %68 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%67, %arg8 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %69 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%66, %68 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %70 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%44, %44 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %71 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_9 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %72 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%71, %70 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %73 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_8 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %74 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%73, %arg9 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %75 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%72, %74 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %76 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%31, %31 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %77 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_9 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %78 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%77, %76 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %79 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_8 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %80 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%79, %arg10 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %81 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%78, %80 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %82 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%49, %49 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %83 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_9 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %84 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%83, %82 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %85 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_8 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %86 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%85, %arg11 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %87 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%84, %86 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %88 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%36, %36 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %89 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_9 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %90 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%89, %88 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %91 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_8 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %92 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%91, %arg12 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %93 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%90, %92 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %94 = tensor.empty() : tensor<i1>
    %95 = linalg.generic {indexing_maps = [#map4, #map4], iterator_types = []} ins(%arg4 : tensor<i32>) outs(%94 : tensor<i1>) {
    ^bb0(%in: i32, %out: i1):
      %156 = arith.cmpi slt, %in, %c2147483647_i32 : i32
      linalg.yield %156 : i1
    } -> tensor<i1>
    %96 = tensor.empty() : tensor<i32>
    %97 = linalg.generic {indexing_maps = [#map4, #map4], iterator_types = []} ins(%arg4 : tensor<i32>) outs(%96 : tensor<i32>) {
    ^bb0(%in: i32, %out: i32):
      %156 = arith.addi %in, %c1_i32 : i32
      linalg.yield %156 : i32
    } -> tensor<i32>
    %98 = call @_where(%95, %97, %cst_7) : (tensor<i1>, tensor<i32>, tensor<i32>) -> tensor<i32>
    %99 = linalg.generic {indexing_maps = [#map4, #map4], iterator_types = []} ins(%98 : tensor<i32>) outs(%21 : tensor<f32>) {
    ^bb0(%in: i32, %out: f32):
      %156 = arith.sitofp %in : i32 to f32
      linalg.yield %156 : f32
    } -> tensor<f32>
    %100 = linalg.generic {indexing_maps = [#map4, #map4], iterator_types = []} ins(%99 : tensor<f32>) outs(%21 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = math.powf %cst_1, %in : f32
      linalg.yield %156 : f32
    } -> tensor<f32>
    %101 = linalg.generic {indexing_maps = [#map4, #map4], iterator_types = []} ins(%100 : tensor<f32>) outs(%21 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = arith.subf %cst_2, %in : f32
      linalg.yield %156 : f32
    } -> tensor<f32>
    %102 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%101 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %103 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%54, %102 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %104 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%101 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %105 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%59, %104 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %106 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%101 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %107 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%64, %106 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %108 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%101 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %109 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%69, %108 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %110 = linalg.generic {indexing_maps = [#map4, #map4], iterator_types = []} ins(%99 : tensor<f32>) outs(%21 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = math.powf %cst_0, %in : f32
      linalg.yield %156 : f32
    } -> tensor<f32>
    %111 = linalg.generic {indexing_maps = [#map4, #map4], iterator_types = []} ins(%110 : tensor<f32>) outs(%21 : tensor<f32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = arith.subf %cst_2, %in : f32
      linalg.yield %156 : f32
    } -> tensor<f32>
    %112 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%111 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %113 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%75, %112 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %114 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%111 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %115 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%81, %114 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %116 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%111 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %117 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%87, %116 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %118 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%111 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %119 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%93, %118 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %120 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_12 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %121 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%113, %120 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %122 = linalg.generic {indexing_maps = [#map13, #map13], iterator_types = ["parallel"]} ins(%121 : tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = math.sqrt %in : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %123 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_6 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %124 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%122, %123 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %125 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%103, %124 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %126 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_12 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %127 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%115, %126 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %128 = linalg.generic {indexing_maps = [#map13, #map13], iterator_types = ["parallel"]} ins(%127 : tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = math.sqrt %in : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %129 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_6 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %130 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%128, %129 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %131 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%105, %130 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %132 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_12 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %133 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%117, %132 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %134 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%133 : tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = math.sqrt %in : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %135 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_6 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %136 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%134, %135 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %137 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%107, %136 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %138 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_12 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %139 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%119, %138 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %140 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%139 : tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      %156 = math.sqrt %in : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %141 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_6 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %142 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%140, %141 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %143 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%109, %142 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.divf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %144 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_5 : tensor<f32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12xf32>
    %145 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%144, %125 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %146 = linalg.generic {indexing_maps = [#map12, #map13], iterator_types = ["parallel"]} ins(%cst_5 : tensor<f32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<4xf32>
    %147 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%146, %131 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %148 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_5 : tensor<f32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<16x12xf32>
    %149 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%148, %137 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %150 = linalg.generic {indexing_maps = [#map3, #map1], iterator_types = ["parallel", "parallel"]} ins(%cst_5 : tensor<f32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<12x4xf32>
    %151 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%150, %143 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.mulf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    %152 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%arg0, %145 : tensor<12xf32>, tensor<12xf32>) outs(%41 : tensor<12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12xf32>
    %153 = linalg.generic {indexing_maps = [#map13, #map13, #map13], iterator_types = ["parallel"]} ins(%arg1, %147 : tensor<4xf32>, tensor<4xf32>) outs(%28 : tensor<4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<4xf32>
    %154 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%arg2, %149 : tensor<16x12xf32>, tensor<16x12xf32>) outs(%48 : tensor<16x12xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<16x12xf32>
    %155 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel"]} ins(%arg3, %151 : tensor<12x4xf32>, tensor<12x4xf32>) outs(%35 : tensor<12x4xf32>) {
    ^bb0(%in: f32, %in_16: f32, %out: f32):
      %156 = arith.addf %in, %in_16 : f32
      linalg.yield %156 : f32
    } -> tensor<12x4xf32>
    return %24, %152, %153, %154, %155, %98, %54, %59, %64, %69, %75, %81, %87, %93 : tensor<f32>, tensor<12xf32>, tensor<4xf32>, tensor<16x12xf32>, tensor<12x4xf32>, tensor<i32>, tensor<12xf32>, tensor<4xf32>, tensor<16x12xf32>, tensor<12x4xf32>, tensor<12xf32>, tensor<4xf32>, tensor<16x12xf32>, tensor<12x4xf32>
  }
  func.func private @_where(%arg0: tensor<i1>, %arg1: tensor<i32>, %arg2: tensor<i32>) -> tensor<i32> {
    %0 = tensor.empty() : tensor<i32>
    %1 = linalg.generic {indexing_maps = [#map4, #map4, #map4, #map4], iterator_types = []} ins(%arg0, %arg1, %arg2 : tensor<i1>, tensor<i32>, tensor<i32>) outs(%0 : tensor<i32>) {
    ^bb0(%in: i1, %in_0: i32, %in_1: i32, %out: i32):
      %2 = arith.select %in, %in_0, %in_1 : i32
      linalg.yield %2 : i32
    } -> tensor<i32>
    return %1 : tensor<i32>
  }
}
