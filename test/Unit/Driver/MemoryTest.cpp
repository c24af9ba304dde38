//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plait/Driver/Memory.h"

#include "plait/Runtime/Tensor.h"

#include "gtest/gtest.h"

#include <fstream>
#include <vector>

using namespace plait;
using namespace plait::run;
using runtime::DType;
using runtime::HostTensor;

static constexpr int64_t MiB = 1 << 20;

TEST(Memory, LargeTensorsAreResidentFromTheFirstWriteOn) {
  // No multiple of a huge page.
  int64_t size = 101 * MiB + 12;
  int64_t before = residentBytes();
  ASSERT_GT(before, 0);
  auto tensor = HostTensor::zeros(DType::U8, {size});
  ASSERT_TRUE(tensor);
  EXPECT_LT(residentBytes() - before, 2 * MiB);
  for (int64_t i = 0; i < size; i += 4096) {
    ASSERT_EQ(tensor->data.data()[i], 0);
    tensor->data.data()[i] = 1;
  }
  EXPECT_NEAR(double(residentBytes() - before) / MiB, 101, 3);
  *tensor = HostTensor();
  EXPECT_LT(residentBytes() - before, 2 * MiB);
}

TEST(Memory, FreedTensorsAreTheSystemsAgain) {
  int64_t before = residentBytes();
  {
    std::vector<uint8_t> ones(3 * MiB, 1);
    std::vector<HostTensor> tensors;
    for (int i = 0; i < 20; ++i)
      tensors.push_back(
          std::move(*HostTensor::copyOf(DType::U8, {3 * MiB}, ones.data())));
    EXPECT_GT(residentBytes() - before, 55 * MiB);
    // Every second one first: holes, if they were malloc's.
    for (int i = 0; i < 20; i += 2)
      tensors[i] = HostTensor();
    tensors.resize(1);
  }
  releaseFreeMemory();
  EXPECT_LT(residentBytes() - before, 5 * MiB);
}

/// Whether the mapping that `address` is in was advised to have huge pages ("hg"
/// of VmFlags).
static bool hasHugePages(const void *address) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(maps, line)) {
    unsigned long begin, end;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
      inside = begin <= uintptr_t(address) && uintptr_t(address) < end;
    if (inside && line.rfind("VmFlags:", 0) == 0)
      return (line + ' ').find(" hg ") != std::string::npos;
  }
  return false;
}

TEST(Memory, LargeTensorsAskForHugePages) {
  auto large = HostTensor::zeros(DType::U8, {9 * MiB});
  auto small = HostTensor::zeros(DType::U8, {MiB});
  ASSERT_TRUE(large && small);
  EXPECT_EQ(uintptr_t(large->data.data()) % (2 * MiB), 0u);
  EXPECT_TRUE(hasHugePages(large->data.data()));
  EXPECT_TRUE(hasHugePages(large->data.data() + 8 * MiB - 1));
  EXPECT_FALSE(hasHugePages(small->data.data()));
}

TEST(Memory, CopyByThreadsCopiesAll) {
  for (size_t size : {size_t(0), size_t(1), size_t(1000), size_t(MiB) - 1,
                      size_t(MiB), size_t(3 * MiB + 7)}) {
    std::vector<uint8_t> from(size), to(size + 1, 7);
    for (size_t i = 0; i < size; ++i)
      from[i] = i * 31 + i / 251;
    copyByThreads(to.data(), from.data(), size);
    EXPECT_TRUE(std::equal(from.begin(), from.end(), to.begin())) << size;
    EXPECT_EQ(to[size], 7);
  }
}
