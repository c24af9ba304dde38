/* Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What the machine can do: fused multiply-adds a second, and bytes a second of
 * an update (three arrays, each read and written in place) and of reading alone,
 * where they stay in a last-level cache and where they do not.
 *
 *   cc -O3 -march=native -ffp-contract=fast -fopenmp limits.c -o limits
 *   OMP_NUM_THREADS=2 ./limits
 *
 * Prints one JSON object. The compiler's vectors are those of the machine. */

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#if defined(__aarch64__)
#define REGISTER(vector) "+w"(vector)
#elif defined(__AVX512F__)
#define REGISTER(vector) "+v"(vector)
#else
#define REGISTER(vector) "+x"(vector)
#endif
#define CHAINS 12

typedef float Vector __attribute__((vector_size(4 * LANES)));

static volatile float sink;

static double flops(void) {
  double best = 0;
  const long rounds = 20000000;
  for (int repeat = 0; repeat < 5; ++repeat) {
    double start = omp_get_wtime();
#pragma omp parallel
    {
      Vector sums[CHAINS], scale, step;
      for (int lane = 0; lane < LANES; ++lane)
        scale[lane] = 0.999f, step[lane] = 1e-3f;
      for (int i = 0; i < CHAINS; ++i)
        sums[i] = step * (float)i;
      for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; ++i)
          sums[i] = sums[i] * scale + step;
        /* Otherwise the rounds are one another's and can be combined. */
        __asm__ volatile("" : REGISTER(scale));
      }
      float sum = 0;
      for (int i = 0; i < CHAINS; ++i)
        sum += sums[i][0];
      sink = sum;
    }
    double rate = 2.0 * LANES * CHAINS * rounds * omp_get_max_threads() /
                  (omp_get_wtime() - start);
    best = rate > best ? rate : best;
  }
  return best;
}

static float *allocate(size_t count) {
  size_t huge = 2 << 20;
  float *data = aligned_alloc(huge, (4 * count + huge - 1) / huge * huge);
  if (!data)
    exit(1);
  madvise(data, 4 * count, MADV_HUGEPAGE);
  return data;
}

/* Bytes a second of w, m, v in place, `count` elements each. */
static double update(size_t count, int repeats) {
  float *w = allocate(count), *m = allocate(count), *v = allocate(count);
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < count; ++i)
    w[i] = m[i] = v[i] = 1;
  double best = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    double start = omp_get_wtime();
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; ++i) {
      m[i] = m[i] * 0.9f + 1e-6f;
      v[i] = v[i] * 0.999f + 1e-6f;
      w[i] = w[i] - m[i] * 1e-6f;
    }
    double rate = 24.0 * count / (omp_get_wtime() - start);
    best = rate > best ? rate : best;
  }
  sink = w[count / 2];
  free(w), free(m), free(v);
  return best;
}

/* Bytes a second of reading `count` elements; a multiple of all lanes. */
static double read(size_t count, int repeats) {
  float *data = allocate(count);
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < count; ++i)
    data[i] = 1;
  double best = 0;
  size_t step = LANES * CHAINS, steps = count / step;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    double start = omp_get_wtime();
#pragma omp parallel
    {
      Vector sums[CHAINS] = {0};
#pragma omp for schedule(static)
      for (size_t i = 0; i < steps; ++i) {
        const Vector *from = (const Vector *)(data + i * step);
#pragma GCC unroll 12
        for (int chain = 0; chain < CHAINS; ++chain)
          sums[chain] += from[chain];
      }
      float sum = 0;
      for (int chain = 0; chain < CHAINS; ++chain)
        sum += sums[chain][0];
      sink = sum;
    }
    double rate = 4.0 * steps * step / (omp_get_wtime() - start);
    best = rate > best ? rate : best;
  }
  free(data);
  return best;
}

int main(void) {
  double rate = flops();
  printf("{\"threads\": %d, \"gflops\": %.1f, \"cache_gbs\": %.1f, "
         "\"memory_gbs\": %.1f, \"cache_read_gbs\": %.1f, "
         "\"memory_read_gbs\": %.1f}\n",
         omp_get_max_threads(), rate / 1e9, update(1 << 20, 2000) / 1e9,
         update(1 << 25, 100) / 1e9, read(3 << 20, 2000) / 1e9,
         read(3 << 25, 100) / 1e9);
  return 0;
}
