//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the order of rows. The fixed values come from a separate program in
// Python; if they change, every shuffled run changes with them.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/Shuffle.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace plait::runtime;
using Order = std::vector<uint64_t>;

namespace {

TEST(Shuffle, GeneratorIsSplitMix64) {
  // The values that its other implementations list for this state.
  SplitMix64 random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
  EXPECT_EQ(random.next(), 9817491932198370423u);
}

TEST(Shuffle, BelowRejectsFavouredRemainders) {
  SplitMix64 random(0);
  const uint64_t bound = (uint64_t(1) << 63) + 1;
  EXPECT_EQ(random.below(bound), 7070836379803831726u);
  EXPECT_EQ(random.below(bound), 8686239339925766635u);
  EXPECT_EQ(random.below(bound), 5009149828745571131u);
  EXPECT_EQ(random.below(bound), 8338494477124284581u);
}

TEST(Shuffle, FixedOrders) {
  EXPECT_EQ(epochOrder(0, 0, 10), (Order{6, 3, 2, 9, 8, 1, 4, 7, 0, 5}));
  EXPECT_EQ(epochOrder(0, 1, 10), (Order{2, 1, 8, 4, 9, 6, 5, 7, 3, 0}));
  EXPECT_EQ(epochOrder(1, 0, 10), (Order{7, 4, 3, 8, 5, 9, 2, 0, 6, 1}));
  EXPECT_EQ(epochOrder(42, 7, 10), (Order{0, 2, 4, 1, 5, 3, 8, 7, 6, 9}));
  EXPECT_EQ(epochOrder(UINT64_MAX, 3, 10),
            (Order{8, 4, 7, 9, 5, 3, 2, 1, 0, 6}));
}

TEST(Shuffle, EveryRowOnce) {
  for (uint64_t rows : {0, 1, 2, 3, 1000}) {
    Order order = epochOrder(5, 6, rows);
    std::sort(order.begin(), order.end());
    ASSERT_EQ(order.size(), rows);
    for (uint64_t i = 0; i < rows; ++i)
      EXPECT_EQ(order[i], i);
  }
}

TEST(Shuffle, EveryOrderIsAsLikely) {
  // 6 orders of 3 rows, 6000 epochs: each about 1000 times (sigma is 29).
  std::vector<int> counts(27);
  for (uint64_t epoch = 0; epoch < 6000; ++epoch) {
    Order order = epochOrder(0, epoch, 3);
    ++counts[order[0] * 9 + order[1] * 3 + order[2]];
  }
  for (int count : counts)
    EXPECT_TRUE(count == 0 || (count > 850 && count < 1150)) << count;
}

} // namespace
