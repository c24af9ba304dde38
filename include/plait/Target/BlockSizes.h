//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What fits into a target's caches: the blocks of a product that are packed at
// a time, and the panel of a gradient that waits for its update. After Low et
// al., "Analytical Modeling is Enough for High-Performance BLIS" (ACM TOMS 43,
// 2016); docs/Rationale.md says where this differs, and why.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TARGET_BLOCKSIZES_H
#define PLAIT_TARGET_BLOCKSIZES_H

#include "plait/Target/TargetOptions.h"

#include <algorithm>

namespace plait {

/// Upper bounds of the blocks that a product packs, in elements.
struct BlockSizes {
  int64_t rows, lanes, steps;
};

/// The largest power of two that is at most `value`, and no less than 1.
inline int64_t powerOf2Floor(int64_t value) {
  int64_t power = 1;
  while (power <= value / 2)
    power *= 2;
  return power;
}

/// Steps: those of a register tile's rows and lanes fill the first cache but for
/// an eighth, one way of eight, for the sums. Lanes and rows: so many steps of
/// them fill a quarter and 3/32 of the second cache. Another quarter is for a
/// panel (setCaches), and what is left for what streams by.
///
/// Steps and lanes are powers of two, as most extents are: then the blocks of a
/// weight end where its update's loops do. Rows are a multiple of the register
/// tile. The bounds keep blocks on a thread's stack. A cache of no bytes gives
/// blocks of none, which passes refuse.
inline BlockSizes chooseBlockSizes(const TargetOptions &target) {
  constexpr int64_t kFloat = sizeof(float), kMinSteps = 16, kMaxSteps = 512;
  constexpr int64_t kMaxLaneBytes = 512 << 10, kMaxRowBytes = 256 << 10;
  int64_t l1 = target.caches.l1Bytes, l2 = target.caches.l2Bytes;
  if (l1 < 1 || l2 < 1)
    return {0, 0, 0};
  int64_t stepBytes = kFloat * (target.registerRows + target.registerCols);
  BlockSizes blocks;
  blocks.steps = std::clamp(powerOf2Floor((l1 - l1 / 8) / stepBytes), kMinSteps,
                            kMaxSteps);
  int64_t laneBytes = std::min(l2 / 4, kMaxLaneBytes);
  blocks.lanes = std::max(powerOf2Floor(laneBytes / (kFloat * blocks.steps)),
                          target.registerCols);
  int64_t rowBytes = std::min(l2 / 32 * 3, kMaxRowBytes);
  int64_t tiles = rowBytes / (kFloat * blocks.steps) / target.registerRows;
  blocks.rows = std::max<int64_t>(tiles, 1) * target.registerRows;
  return blocks;
}

/// Gives `target` caches, and a gradient's panel a quarter of the second one. Not
/// more than 256 KiB, of which a thread's stack holds what several products make.
inline void setCaches(TargetOptions &target, CacheSizes caches) {
  constexpr int64_t kMin = 16 << 10, kMax = 256 << 10;
  target.caches = caches;
  target.panelBytes = std::clamp(caches.l2Bytes / 4, kMin, kMax);
}

} // namespace plait

#endif // PLAIT_TARGET_BLOCKSIZES_H
