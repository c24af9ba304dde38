//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is worth waking threads for, in one place. All loops that touch a weight
// must answer alike: one that is updated by all threads and read by one moves to
// that one's cache in every step. Counts depend on shapes alone.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_WORK_H
#define PLAIT_PASSES_LOWER_WORK_H

#include <algorithm>
#include <cstdint>

namespace plait {

/// Elements of a loop over one array, below which one thread is faster; measured
/// with AdamW on networks of square layers (docs/Performance.md).
constexpr int64_t kMinParallelElements = 1 << 17;

/// Multiply-adds that take about as long as one element.
constexpr int64_t kProductsPerElement = 8;

/// Whether threads should share a product: the work is its multiply-adds and,
/// with few rows, reading or writing the weight, its largest operand.
inline bool isWorthThreads(int64_t numRows, int64_t numLanes, int64_t numSteps,
                           int64_t batch = 1) {
  int64_t elements =
      std::max({numRows * numSteps, numLanes * numSteps, numRows * numLanes});
  int64_t products = numRows * numLanes * numSteps;
  return batch * (elements + products / kProductsPerElement) >=
         kMinParallelElements;
}

} // namespace plait

#endif // PLAIT_PASSES_LOWER_WORK_H
