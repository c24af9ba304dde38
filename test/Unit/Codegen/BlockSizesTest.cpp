//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the formula from caches to blocks.
//
//===----------------------------------------------------------------------===//

#include "plait/Target/BlockSizes.h"

#include "gtest/gtest.h"

using namespace plait;

namespace {

constexpr int64_t kTiles[][2] = {{6, 8}, {6, 16}, {8, 32}, {1, 2}};
constexpr int64_t kMaxBytes = int64_t(1) << 40;

TargetOptions targetOf(const int64_t (&tile)[2], int64_t l1, int64_t l2) {
  TargetOptions target;
  target.registerRows = tile[0];
  target.registerCols = tile[1];
  setCaches(target, {l1, l2});
  return target;
}

// A Zen 5's, where these were found to be about the fastest
// (docs/Rationale.md).
TEST(BlockSizes, OfTheMachineThatWasMeasured) {
  BlockSizes blocks = chooseBlockSizes(targetOf({8, 32}, 48 << 10, 1 << 20));
  EXPECT_EQ(blocks.rows, 96);
  EXPECT_EQ(blocks.lanes, 256);
  EXPECT_EQ(blocks.steps, 256);
}

TEST(BlockSizes, AreWholeTilesOfAnyCache) {
  for (auto &tile : kTiles)
    for (int64_t l1 = 1; l1 < kMaxBytes; l1 = 3 * l1 + 1)
      for (int64_t l2 = 1; l2 < kMaxBytes; l2 = 3 * l2 + 1) {
        TargetOptions target = targetOf(tile, l1, l2);
        BlockSizes blocks = chooseBlockSizes(target);
        EXPECT_GE(blocks.rows, tile[0]);
        EXPECT_EQ(blocks.rows % tile[0], 0);
        EXPECT_GE(blocks.lanes, tile[1]);
        EXPECT_EQ(blocks.lanes % tile[1], 0);
        EXPECT_GE(blocks.steps, 16);
        EXPECT_EQ(blocks.steps & (blocks.steps - 1), 0);
        EXPECT_GT(target.panelBytes, 0);
      }
}

// But for the smallest caches, where one tile is more.
TEST(BlockSizes, FitTheCaches) {
  for (auto &tile : kTiles)
    for (int64_t l1 = 8 << 10; l1 < kMaxBytes; l1 = l1 * 5 / 4)
      for (int64_t l2 = std::max<int64_t>(l1, 256 << 10); l2 < kMaxBytes;
           l2 *= 2) {
        BlockSizes blocks = chooseBlockSizes(targetOf(tile, l1, l2));
        int64_t tiles = 4 * blocks.steps * (tile[0] + tile[1]);
        EXPECT_LE(tiles, l1 - l1 / 8);
        EXPECT_LE(4 * blocks.steps * (blocks.rows + blocks.lanes), l2 / 2);
        // What a thread's stack holds.
        EXPECT_LE(4 * blocks.steps * (blocks.rows + blocks.lanes), 768 << 10);
      }
}

TEST(BlockSizes, GrowWithTheFirstCache) {
  for (auto &tile : kTiles) {
    int64_t last = 0;
    for (int64_t l1 = 1; l1 < kMaxBytes; l1 *= 2) {
      int64_t steps = chooseBlockSizes(targetOf(tile, l1, 1 << 20)).steps;
      EXPECT_GE(steps, last);
      last = steps;
    }
  }
}

TEST(BlockSizes, GrowWithTheSecondCache) {
  for (auto &tile : kTiles) {
    BlockSizes last = {0, 0, 0};
    int64_t panel = 0;
    for (int64_t l2 = 1; l2 < kMaxBytes; l2 *= 2) {
      TargetOptions target = targetOf(tile, 48 << 10, l2);
      BlockSizes blocks = chooseBlockSizes(target);
      EXPECT_GE(blocks.rows, last.rows);
      EXPECT_GE(blocks.lanes, last.lanes);
      EXPECT_GE(target.panelBytes, panel);
      last = blocks;
      panel = target.panelBytes;
    }
  }
}

TEST(BlockSizes, NoneOfNoCache) {
  for (int64_t none : {int64_t(0), int64_t(-1)}) {
    EXPECT_EQ(chooseBlockSizes(targetOf({6, 16}, none, 1 << 20)).steps, 0);
    EXPECT_EQ(chooseBlockSizes(targetOf({6, 16}, 48 << 10, none)).rows, 0);
  }
}

} // namespace
