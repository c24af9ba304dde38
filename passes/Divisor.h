//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tiles that divide their loop, so that shapes stay static.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_DIVISOR_H
#define PLAIT_PASSES_DIVISOR_H

#include <algorithm>
#include <cstdint>

namespace plait {

/// The largest divisor of `extent`, which is positive, that is at most `limit`,
/// and at least 1.
inline int64_t largestDivisor(int64_t extent, int64_t limit) {
  int64_t size = std::clamp<int64_t>(limit, 1, extent);
  while (extent % size != 0)
    --size;
  return size;
}

} // namespace plait

#endif // PLAIT_PASSES_DIVISOR_H
