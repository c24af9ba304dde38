//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the sizes of caches, on folders as sysfs has them.
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/HostCache.h"

#include "gtest/gtest.h"
#include <filesystem>
#include <fstream>

using namespace plait;
namespace fs = std::filesystem;

namespace {

class HostCache : public ::testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/plait-cache-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }

  void add(const char *index, const char *level, const char *type,
           const char *size, const char *sharers = nullptr) {
    fs::create_directory(folder / index);
    std::ofstream(folder / index / "level") << level << '\n';
    std::ofstream(folder / index / "type") << type << '\n';
    std::ofstream(folder / index / "size") << size << '\n';
    if (sharers)
      std::ofstream(folder / index / "shared_cpu_list") << sharers << '\n';
  }
  HostCaches caches() { return hostCaches(folder.string()); }
  /// First, second and last.
  void expect(int64_t l1, int64_t l2, int64_t last) {
    HostCaches found = caches();
    EXPECT_EQ(found.l1Bytes, l1);
    EXPECT_EQ(found.l2Bytes, l2);
    EXPECT_EQ(found.lastBytes, last);
  }

  fs::path folder;
};

TEST_F(HostCache, HasThreeLevels) {
  add("index0", "1", "Data", "48K");
  add("index1", "1", "Instruction", "64K");
  add("index2", "2", "Unified", "1024K");
  add("index3", "3", "Unified", "32768K");
  expect(48 << 10, 1 << 20, 32 << 20);
}

TEST_F(HostCache, SkipsInstructionsAndWhatHasNoSize) {
  add("index0", "1", "Data", "32K");
  add("index1", "2", "Instruction", "4M");
  add("index2", "3", "Unified", "");
  expect(32 << 10, 0, 32 << 10);
}

TEST_F(HostCache, IsNothingWhereTheSystemDoesNotSay) {
  expect(0, 0, 0);
  folder = folder / "none";
  expect(0, 0, 0);
  folder = folder.parent_path();
}

TEST_F(HostCache, ThreadsOfACoreDoNotDivideIt) {
  add("index0", "1", "Data", "32K", "0,64");
  add("index1", "2", "Unified", "1M", "0,64");
  add("index2", "3", "Unified", "32M", "0-7,64-71");
  expect(32 << 10, 1 << 20, 32 << 20);
}

// As of the small cores of x86-64, and of all of Apple's, where the second level
// is the last one.
TEST_F(HostCache, CoresShareTheSecondLevel) {
  add("index0", "1", "Data", "128K", "0");
  add("index1", "2", "Unified", "12M", "0-3");
  expect(128 << 10, 3 << 20, 12 << 20);
}

TEST_F(HostCache, WhatIsNoListIsOneProcessor) {
  for (const char *list : {"", "all", "3-1", "0-x", "0,,1"}) {
    add("index0", "1", "Data", "32K", "0");
    add("index1", "2", "Unified", "1M", list);
    expect(32 << 10, 1 << 20, 1 << 20);
  }
}

} // namespace
