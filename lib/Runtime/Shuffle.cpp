//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The order in which an epoch visits the rows of a data set.
//
// This file decides nothing that Shuffle.h does not spell out.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/Shuffle.h"

#include <utility>

namespace plait::runtime {

uint64_t SplitMix64::below(uint64_t bound) {
  uint64_t favoured = (0 - bound) % bound; // 2^64 modulo bound
  uint64_t value = next();
  while (value < favoured)
    value = next();
  return value % bound;
}

std::vector<uint64_t> epochOrder(uint64_t seed, uint64_t epoch, uint64_t rows) {
  // Mixed twice: the streams of neighbouring seeds or epochs would otherwise be
  // shifted copies of one another.
  SplitMix64 random(SplitMix64::mix(SplitMix64::mix(seed) + epoch));
  std::vector<uint64_t> order(rows);
  for (uint64_t i = 0; i < rows; ++i)
    order[i] = i;
  for (uint64_t i = rows; i > 1; --i)
    std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

} // namespace plait::runtime
