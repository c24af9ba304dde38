//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nothing is allocated in a step: not by its code, nor by the call of it. malloc
// is this program's own here, and counts.
//
//===----------------------------------------------------------------------===//

#include "plait/Driver/Compile.h"

#include "gtest/gtest.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>

using namespace plait;
using namespace plait::run;

static std::atomic<bool> counting;
static std::atomic<unsigned> allocations;

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

/// The OpenMP runtime is not counted: where it is built with traces, as Debian's
/// is, it formats the text of one at each loop and throws it away.
static void count(void *caller) {
  Dl_info info;
  if (counting &&
      !(dladdr(caller, &info) && std::strstr(info.dli_fname, "libomp")))
    ++allocations;
}
void *malloc(size_t size) noexcept {
  count(__builtin_return_address(0));
  return __libc_malloc(size);
}
void *calloc(size_t number, size_t size) noexcept {
  count(__builtin_return_address(0));
  return __libc_calloc(number, size);
}
void *realloc(void *old, size_t size) noexcept {
  count(__builtin_return_address(0));
  return __libc_realloc(old, size);
}
void *memalign(size_t alignment, size_t size) noexcept {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) noexcept {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
int posix_memalign(void **result, size_t alignment, size_t size) noexcept {
  count(__builtin_return_address(0));
  *result = __libc_memalign(alignment, size);
  return *result ? 0 : ENOMEM;
}
}

/// Two layers with momentum: stored gradients under `baseline`, pending values
/// under `forward`, and products that need packed copies.
static constexpr char text[] = R"mlir(
func.func @step(
    %w: tensor<256x192xf32> {train.role = #train.param<"w">},
    %v: tensor<256x192xf32> {train.role = #train.param<"v">},
    %m: tensor<256x192xf32> {train.role = #train.state<"w", "momentum_buffer">},
    %s: tensor<f32> {train.role = #train.state<"w", "initialized">},
    %x: tensor<64x192xf32> {train.role = #train.input<"x">})
    -> (tensor<64x256xf32> {train.role = #train.output<"y">},
        tensor<256x192xf32> {train.role = #train.next<"w">},
        tensor<256x192xf32> {train.role = #train.next<"v">},
        tensor<256x192xf32> {train.role = #train.next<"w", "momentum_buffer">},
        tensor<f32> {train.role = #train.next<"w", "initialized">})
    attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %ey = tensor.empty() : tensor<64x256xf32>
  %zy = linalg.fill ins(%c0 : f32) outs(%ey : tensor<64x256xf32>) -> tensor<64x256xf32>
  %a = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %w : tensor<64x192xf32>, tensor<256x192xf32>) outs(%zy : tensor<64x256xf32>) -> tensor<64x256xf32>
  %y = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %v : tensor<64x192xf32>, tensor<256x192xf32>) outs(%a : tensor<64x256xf32>) -> tensor<64x256xf32>
  %eg = tensor.empty() : tensor<256x192xf32>
  %zg = linalg.fill ins(%c0 : f32) outs(%eg : tensor<256x192xf32>) -> tensor<256x192xf32>
  %g = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%y, %x : tensor<64x256xf32>, tensor<64x192xf32>) outs(%zg : tensor<256x192xf32>) -> tensor<256x192xf32>
  %w1, %m1, %s1 = train.sgd ins(%g : tensor<256x192xf32>)
      outs(%w, %m, %s : tensor<256x192xf32>, tensor<256x192xf32>, tensor<f32>) {lr = 1.0e-4 : f64, momentum = 0.9 : f64}
  %v1 = train.sgd ins(%g : tensor<256x192xf32>) outs(%v : tensor<256x192xf32>) {lr = 1.0e-4 : f64}
  return %y, %w1, %v1, %m1, %s1 : tensor<64x256xf32>, tensor<256x192xf32>,
      tensor<256x192xf32>, tensor<256x192xf32>, tensor<f32>
}
)mlir";

static unsigned allocationsOfSteps(const char *schedule) {
  SessionOptions options;
  options.schedule = schedule;
  options.threads = 2;
  auto session = compileText(text, options);
  EXPECT_TRUE(bool(session)) << session.message();
  std::vector<float> x(64 * 192, 0.01f);
  std::vector<const void *> inputs = {x.data()};
  // The first starts the threads, and under `forward` is another function.
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(bool((*session)->step(inputs)));
  allocations = 0;
  counting = true;
  for (int i = 0; i < 10; ++i)
    (void)(*session)->step(inputs);
  counting = false;
  EXPECT_TRUE(bool((*session)->flush()));
  return allocations;
}

TEST(Allocation, CounterCounts) {
  allocations = 0;
  counting = true;
  // Volatile, or the compiler leaves them away.
  std::vector<int> *volatile made = new std::vector<int>(100);
  void *volatile aligned = std::aligned_alloc(64, 64);
  counting = false;
  delete made;
  std::free(aligned);
  EXPECT_EQ(allocations, 3u);
}

TEST(Allocation, NoneInAStep) {
  for (const char *schedule : {"baseline", "backward", "forward"})
    EXPECT_EQ(allocationsOfSteps(schedule), 0u) << schedule;
}
