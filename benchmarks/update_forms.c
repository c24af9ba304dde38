/* Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * dW = dz^T x and AdamW in one loop nest, of a weight in blocks [n/32][k][32], in two
 * forms: by panels of 256 KiB of the gradient, which the update then reads (what Plait
 * generates), and with each tile's gradient in registers when it is applied.
 *
 *   cc -O3 -march=native -ffp-contract=fast -fno-math-errno -fopenmp update_forms.c -lm -o update_forms
 *   OMP_NUM_THREADS=2 ./update_forms
 *
 * Prints, for weights of 1024 and 4096 squared and some batches, the fastest ms of
 * both, in turns, and their ratio. */

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LANES 32
#define ROWS 8
#define PANEL 2048 /* rows of 32 floats: 256 KiB */

typedef float Vector __attribute__((vector_size(64)));

static float *w, *m, *v, *x, *dz;

static void *allocate(size_t bytes) {
  size_t huge = 2 << 20;
  void *data = aligned_alloc(huge, (bytes + huge - 1) / huge * huge);
  if (!data)
    exit(1);
  madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

static inline void adamw(float *w, float *m, float *v, const float *g, int count) {
#pragma GCC ivdep
  for (int i = 0; i < count; ++i) {
    m[i] = 0.9f * m[i] + 0.1f * g[i];
    v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
    w[i] = w[i] * 0.99999f - 1e-3f * m[i] / (sqrtf(v[i]) + 1e-8f);
  }
}

/* ROWS rows of k by LANES lanes of n into `tile`. */
static inline void product(float *tile, const float *xs, const float *dzs, int batch,
                           int inputs, int outputs) {
  Vector sums[ROWS][2];
  memset(sums, 0, sizeof(sums));
  for (int b = 0; b < batch; ++b) {
    Vector low, high;
    memcpy(&low, dzs + (size_t)b * outputs, 64);
    memcpy(&high, dzs + (size_t)b * outputs + 16, 64);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      sums[r][0] += low * xs[(size_t)b * inputs + r];
      sums[r][1] += high * xs[(size_t)b * inputs + r];
    }
  }
  memcpy(tile, sums, sizeof(sums));
}

static double step(int size, int batch, int inRegisters) {
  int panel = size < PANEL ? size : PANEL, panels = size / panel * (size / LANES);
  double start = omp_get_wtime();
#pragma omp parallel
  {
    static _Thread_local float gradient[PANEL * LANES] __attribute__((aligned(64)));
#pragma omp for schedule(static)
    for (int p = 0; p < panels; ++p) {
      size_t block = p / (size / panel), first = (size_t)(p % (size / panel)) * panel;
      size_t at = (block * size + first) * LANES;
      for (int k = 0; k < panel; k += ROWS) {
        float tile[ROWS * LANES] __attribute__((aligned(64)));
        product(inRegisters ? tile : gradient + k * LANES, x + first + k, dz + block * LANES,
                batch, size, size);
        if (inRegisters)
          adamw(w + at + k * LANES, m + at + k * LANES, v + at + k * LANES, tile,
                ROWS * LANES);
      }
      if (!inRegisters)
        adamw(w + at, m + at, v + at, gradient, panel * LANES);
    }
  }
  return omp_get_wtime() - start;
}

int main(void) {
  const int sizes[] = {1024, 4096}, batches[] = {1, 8, 32, 128};
  size_t most = 4096ul * 4096;
  w = allocate(4 * most), m = allocate(4 * most), v = allocate(4 * most);
  x = allocate(4 * 128 * 4096), dz = allocate(4 * 128 * 4096);
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < most; ++i)
    w[i] = m[i] = v[i] = 1e-3f;
  for (int i = 0; i < 128 * 4096; ++i)
    x[i] = dz[i] = 1e-3f * (i % 7);
  for (int s = 0; s < 2; ++s)
    for (int i = 0; i < 4; ++i) {
      double best[2] = {1, 1};
      for (int turn = 0; turn < 10; ++turn)
        for (int form = 0; form < 2; ++form)
          for (int repeat = 0; repeat < 8; ++repeat) {
            double time = step(sizes[s], batches[i], form);
            if (repeat > 1 && time < best[form])
              best[form] = time;
          }
      printf("%d x %d, batch %3d: panels %7.3f, registers %7.3f ms, ratio %.2f\n", sizes[s],
             sizes[s], batches[i], 1e3 * best[0], 1e3 * best[1], best[1] / best[0]);
    }
  return 0;
}
