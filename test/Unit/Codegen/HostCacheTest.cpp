//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the last-level cache's size, on folders as sysfs has them.
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
           const char *size) {
    fs::create_directory(folder / index);
    std::ofstream(folder / index / "level") << level << '\n';
    std::ofstream(folder / index / "type") << type << '\n';
    std::ofstream(folder / index / "size") << size << '\n';
  }
  std::optional<int64_t> bytes() { return hostCacheBytes(folder.string()); }

  fs::path folder;
};

TEST_F(HostCache, IsTheLastLevel) {
  add("index0", "1", "Data", "48K");
  add("index1", "1", "Instruction", "64K");
  add("index2", "2", "Unified", "1024K");
  add("index3", "3", "Unified", "32768K");
  EXPECT_EQ(bytes(), 32 << 20);
}

TEST_F(HostCache, SkipsInstructionsAndWhatHasNoSize) {
  add("index0", "1", "Data", "32K");
  add("index1", "2", "Instruction", "4M");
  add("index2", "3", "Unified", "");
  EXPECT_EQ(bytes(), 32 << 10);
}

TEST_F(HostCache, IsNothingWhereTheSystemDoesNotSay) {
  EXPECT_EQ(bytes(), std::nullopt);
  EXPECT_EQ(hostCacheBytes((folder / "none").string()), std::nullopt);
}

} // namespace
