//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the check of indices, for each width and both ends of a range.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/IndexRange.h"

#include <gtest/gtest.h>

using namespace plait::runtime;

namespace {

template <typename T>
std::string checked(const IndexRange &range, DType dtype,
                    std::vector<T> values) {
  Status status = checkIndices(range, dtype, values.data(), values.size());
  return status ? "" : status.message();
}

TEST(IndexRange, TakesWhatIsInside) {
  IndexRange range{-2, 5, {-100, 7}};
  EXPECT_EQ(checked<int64_t>(range, DType::I64, {-2, 4, -100, 7}), "");
  EXPECT_EQ(checked<int32_t>(range, DType::I32, {0, 4}), "");
  EXPECT_EQ(checked<int16_t>(range, DType::I16, {-100}), "");
  EXPECT_EQ(checked<int8_t>(range, DType::I8, {-100, 3}), "");
  EXPECT_EQ(checked<int64_t>(range, DType::I64, {}), "");
}

TEST(IndexRange, NamesTheFirstOutside) {
  IndexRange range{0, 5, {}};
  EXPECT_EQ(checked<int64_t>(range, DType::I64, {4, 5, 6}),
            "element 1 is 5, which is outside [0, 5)");
  EXPECT_EQ(checked<int32_t>(range, DType::I32, {-1}),
            "element 0 is -1, which is outside [0, 5)");
  EXPECT_EQ(checked<int16_t>(range, DType::I16, {0, 300}),
            "element 1 is 300, which is outside [0, 5)");
  EXPECT_EQ(checked<int8_t>(range, DType::I8, {0, 0, -128}),
            "element 2 is -128, which is outside [0, 5)");
  // Not the low half of a wide value.
  EXPECT_EQ(checked<int64_t>(range, DType::I64, {(int64_t(1) << 32) + 1}),
            "element 0 is 4294967297, which is outside [0, 5)");
}

TEST(IndexRange, NamesWhatElseIsAllowed) {
  EXPECT_EQ(checked<int64_t>({0, 5, {-100}}, DType::I64, {-1}),
            "element 0 is -1, which is outside [0, 5) and not -100");
}

TEST(IndexRange, RefusesWhatIsNoSignedInteger) {
  EXPECT_EQ(checked<float>({0, 5, {}}, DType::F32, {1}),
            "indices cannot be F32");
  EXPECT_EQ(checked<uint8_t>({0, 5, {}}, DType::U8, {1}),
            "indices cannot be U8");
}

} // namespace
