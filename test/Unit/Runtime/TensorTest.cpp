//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of tensors in host memory and of errors as values.
//
//===----------------------------------------------------------------------===//

#include "TestUtils.h"

using namespace plait::runtime;

namespace {

TEST(Tensor, ElementSizes) {
  EXPECT_EQ(elementSize(DType::F64), 8u);
  EXPECT_EQ(elementSize(DType::F32), 4u);
  EXPECT_EQ(elementSize(DType::BF16), 2u);
  EXPECT_EQ(elementSize(DType::U8), 1u);
  EXPECT_EQ(elementSize(DType::Bool), 1u);
}

TEST(Tensor, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::Bool); ++i) {
    DType dtype = static_cast<DType>(i);
    EXPECT_EQ(parseDType(dtypeName(dtype)), dtype);
  }
  EXPECT_EQ(parseDType("BF16"), DType::BF16);
  EXPECT_EQ(parseDType("f32"), std::nullopt);
  EXPECT_EQ(parseDType(""), std::nullopt);
}

TEST(Tensor, ByteSizes) {
  EXPECT_EQ(byteSize(DType::F32, {}), 4u);
  EXPECT_EQ(byteSize(DType::F32, {2, 3}), 24u);
  EXPECT_EQ(byteSize(DType::F32, {2, 0, 3}), 0u);
  EXPECT_EQ(byteSize(DType::U8, {INT64_MAX}), uint64_t(INT64_MAX));
}

TEST(Tensor, NoByteSizeOfANegativeDimension) {
  EXPECT_EQ(byteSize(DType::F32, {2, -1}), std::nullopt);
  EXPECT_EQ(byteSize(DType::F32, {0, -1}), std::nullopt);
}

TEST(Tensor, NoByteSizeOnOverflow) {
  EXPECT_EQ(byteSize(DType::U16, {INT64_MAX}), std::nullopt);
  EXPECT_EQ(byteSize(DType::U8, {int64_t(1) << 32, int64_t(1) << 32}),
            std::nullopt);
  // Whatever the order, a zero does not hide it.
  EXPECT_EQ(byteSize(DType::U8, {0, int64_t(1) << 62, 8}), std::nullopt);
  EXPECT_EQ(byteSize(DType::U8, {int64_t(1) << 62, 8, 0}), std::nullopt);
}

TEST(Tensor, Description) {
  EXPECT_EQ(describe(DType::F32, {}), "F32[]");
  EXPECT_EQ(describe(DType::Bool, {8, 16}), "BOOL[8, 16]");
}

TEST(Tensor, MemoryIsAligned) {
  for (uint64_t size : {0, 1, 63, 64, 65, 1000}) {
    Expected<AlignedBytes> bytes = AlignedBytes::allocate(size);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->size(), size);
    ASSERT_NE(bytes->data(), nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes->data()) % 64, 0u);
  }
}

TEST(Tensor, MemoryMoves) {
  AlignedBytes first = std::move(*AlignedBytes::allocate(8));
  uint8_t *pointer = first.data();
  AlignedBytes second(std::move(first));
  EXPECT_EQ(second.data(), pointer);
  EXPECT_EQ(first.size(), 0u);
  AlignedBytes third;
  third = std::move(second);
  EXPECT_EQ(third.data(), pointer);
  EXPECT_EQ(third.size(), 8u);
}

TEST(Tensor, RefuseImpossibleAllocation) {
  expectError(AlignedBytes::allocate(UINT64_MAX),
              "out of memory: cannot allocate 18446744073709551615 bytes");
}

TEST(Tensor, RefuseImpossibleShape) {
  expectError(HostTensor::zeros(DType::F32, {4, -1}),
              "no tensor can have the type F32[4, -1]: a dimension is negative "
              "or the size overflows");
}

TEST(Tensor, ZerosAreZero) {
  Expected<HostTensor> tensor = HostTensor::zeros(DType::I32, {5});
  ASSERT_TRUE(tensor);
  EXPECT_EQ(elementsOf<int32_t>(*tensor), std::vector<int32_t>(5, 0));
}

TEST(Tensor, CloneIsDeep) {
  HostTensor tensor = makeTensor<int16_t>(DType::I16, {2}, {1, 2});
  HostTensor copy = std::move(*tensor.clone());
  tensor.as<int16_t>()[0] = 7;
  EXPECT_EQ(elementsOf<int16_t>(copy), (std::vector<int16_t>{1, 2}));
  EXPECT_EQ(copy.shape, (Shape{2}));
}

TEST(Tensor, RefuseBoolThatIsNeither) {
  EXPECT_TRUE(checkElements(makeTensor<uint8_t>(DType::Bool, {3}, {0, 1, 1})));
  EXPECT_TRUE(checkElements(makeTensor<uint8_t>(DType::U8, {2}, {0, 2})));
  expectError(checkElements(makeTensor<uint8_t>(DType::Bool, {2}, {0, 2})),
              "BOOL element 1 is the byte 2, expected 0 or 1");
}

TEST(Error, PrintableEscapes) {
  EXPECT_EQ(printable("fc1.weight"), "'fc1.weight'");
  EXPECT_EQ(printable(std::string("\x1b[2J\0\xff", 6)), "'\\x1b[2J\\x00\\xff'");
}

TEST(Error, PrintableCuts) {
  EXPECT_EQ(printable(std::string(80, 'a')), "'" + std::string(80, 'a') + "'");
  EXPECT_EQ(printable(std::string(81, 'a')),
            "'" + std::string(80, 'a') + "...'");
}

TEST(Error, ExpectedPassesStatusOn) {
  Expected<int> good = 3;
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, 3);
  expectError(Expected<int>(Status(Error{"no"})), "no");
  EXPECT_TRUE(Status::success());
}

} // namespace
