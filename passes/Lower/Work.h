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

/// The work of a product, in elements: its multiply-adds and, with few rows,
/// reading or writing the weight, its largest operand.
inline int64_t countElements(int64_t numRows, int64_t numLanes,
                             int64_t numSteps, int64_t batch = 1) {
  int64_t elements =
      std::max({numRows * numSteps, numLanes * numSteps, numRows * numLanes});
  int64_t products = numRows * numLanes * numSteps;
  return batch * (elements + products / kProductsPerElement);
}

/// Whether threads should share a product.
inline bool isWorthThreads(int64_t numRows, int64_t numLanes, int64_t numSteps,
                           int64_t batch = 1) {
  return countElements(numRows, numLanes, numSteps, batch) >=
         kMinParallelElements;
}

/// Into how many tiles a loop over that many elements is divided: a large one
/// such that 64 threads have one each. Smaller ones share threads with others
/// (train-side-by-side).
inline int64_t countTiles(int64_t elements) {
  constexpr int64_t kMany = 64, kFew = 32, kMinTileElements = 1 << 14;
  return elements >= kMany * kMinTileElements ? kMany : kFew;
}

/// Tasks of a product, to balance a few threads.
constexpr int64_t kMinTasks = 8;

/// Tasks of a product that 64 threads should share. Each copies what it shares
/// with others, so they are larger than tiles: some 15 us.
inline int64_t countTasks(int64_t elements) {
  constexpr int64_t kMany = 64, kMinTaskElements = 1 << 18;
  int64_t tasks = kMinTasks;
  while (tasks < kMany && 2 * tasks * kMinTaskElements <= elements)
    tasks *= 2;
  return tasks;
}

} // namespace plait

#endif // PLAIT_PASSES_LOWER_WORK_H
