//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The memory of this process, by Linux and glibc.
//
//===----------------------------------------------------------------------===//

#include "plait/Driver/Memory.h"

#include <cstdio>
#include <cstring>
#include <malloc.h>
#include <omp.h>
#include <unistd.h>

using namespace plait;

int64_t run::residentBytes() {
  FILE *file = std::fopen("/proc/self/statm", "r");
  if (!file)
    return 0;
  long all = 0, resident = 0;
  int read = std::fscanf(file, "%ld %ld", &all, &resident);
  std::fclose(file);
  return read == 2 ? int64_t(resident) * sysconf(_SC_PAGESIZE) : 0;
}

void run::releaseFreeMemory() { malloc_trim(0); }

void run::startThreads() {
#pragma omp parallel
  {
#pragma omp barrier
  }
}

void run::copyByThreads(void *to, const void *from, size_t bytes) {
  constexpr size_t worthThreads = 1 << 20;
  if (bytes < worthThreads) {
    if (bytes)
      std::memcpy(to, from, bytes);
    return;
  }
#pragma omp parallel
  {
    size_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    size_t begin = bytes / threads * thread;
    size_t end = thread + 1 == threads ? bytes : begin + bytes / threads;
    std::memcpy(static_cast<char *>(to) + begin,
                static_cast<const char *>(from) + begin, end - begin);
  }
}
