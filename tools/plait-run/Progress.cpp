//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Progress: step, loss, rate and time left.
//
//===----------------------------------------------------------------------===//

#include "Progress.h"

#include <cstdio>
#include <unistd.h>

using namespace plait::run;

Progress::Progress(uint64_t first, uint64_t last)
    : terminal(isatty(STDERR_FILENO)), first(first), last(last) {}

Progress::~Progress() { clear(); }

void Progress::update(uint64_t step, float loss) {
  if (!terminal)
    return;
  Clock::time_point now = Clock::now();
  if (now < next && step != last)
    return;
  next = now + std::chrono::milliseconds(100);
  double each =
      std::chrono::duration<double>(now - start).count() / double(step - first);
  auto left = (unsigned long long)(each * double(last - step) + 0.5);
  std::fprintf(stderr,
               "\r\033[Kstep %llu/%llu  loss %.5g  %.2f ms/step  %llu:%02llu "
               "left",
               (unsigned long long)step, (unsigned long long)last, double(loss),
               each * 1e3, left / 60, left % 60);
  shown = true;
}

void Progress::clear() {
  if (shown)
    std::fputs("\r\033[K", stderr);
  shown = false;
}
