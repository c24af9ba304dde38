//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/Builtins.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include "gtest/gtest.h"

#include <limits>
#include <random>

using namespace plait;

template <typename T> static uint32_t bitsOf(T value) {
  return llvm::bit_cast<uint32_t>(truncateToBFloat16(value)) & 0xffff;
}

/// What LLVM's own arithmetic makes of it.
template <typename T> static uint32_t expected(T value) {
  llvm::APFloat number(value);
  bool lost;
  number.convert(llvm::APFloat::BFloat(), llvm::APFloat::rmNearestTiesToEven,
                 &lost);
  return number.bitcastToAPInt().getZExtValue();
}

TEST(Builtins, FloatsAreRoundedToNearestEven) {
  std::mt19937 random(0);
  for (int i = 0; i < 200000; ++i) {
    float value = llvm::bit_cast<float>(uint32_t(random()));
    if (value != value)
      continue;
    ASSERT_EQ(bitsOf(value), expected(value)) << value;
  }
  // Ties, up and down.
  EXPECT_EQ(bitsOf(llvm::bit_cast<float>(0x3f808000u)), 0x3f80u);
  EXPECT_EQ(bitsOf(llvm::bit_cast<float>(0x3f818000u)), 0x3f82u);
}

TEST(Builtins, DoublesAreRoundedOnce) {
  std::mt19937_64 random(0);
  for (int i = 0; i < 200000; ++i) {
    // Close to a tie between two bfloat16: a float of it would be the tie.
    uint32_t tie = (uint32_t(random()) & 0x7fff0000u) | 0x8000u;
    double value = llvm::bit_cast<float>(tie);
    if (value != value)
      continue;
    value *= 1 + (double(random() % 3) - 1) * 1e-12;
    ASSERT_EQ(bitsOf(value), expected(value)) << value;
    double other = llvm::bit_cast<double>(random());
    if (other != other)
      continue;
    ASSERT_EQ(bitsOf(other), expected(other)) << other;
  }
}

TEST(Builtins, NaNStaysNaN) {
  // One whose upper half alone would be an infinity.
  EXPECT_EQ(bitsOf(llvm::bit_cast<float>(0x7f800001u)), 0x7fc0u);
  EXPECT_EQ(bitsOf(std::numeric_limits<double>::quiet_NaN()) & 0x7fc0u,
            0x7fc0u);
}
