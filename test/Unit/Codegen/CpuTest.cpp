//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of what a cpu's name says: architecture, register tile, lanes, caches,
// and the blocks that follow. The same on every machine.
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/Cpu.h"
#include "plait/Target/BlockSizes.h"

#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "gtest/gtest.h"

using namespace plait;

namespace {

struct Row {
  const char *cpu;
  int64_t rows, cols, lanes;
  int64_t l1KiB, l2KiB;
  int64_t blockRows, blockLanes, blockSteps, panelKiB;
};

constexpr Row kTable[] = {
    {"x86-64", 6, 8, 4, 32, 1024, 48, 128, 512, 256},
    {"x86-64-v2", 6, 8, 4, 32, 1024, 48, 128, 512, 256},
    {"x86-64-v3", 6, 16, 8, 32, 1024, 96, 256, 256, 256},
    {"x86-64-v4", 8, 32, 16, 32, 1024, 192, 512, 128, 256},
    {"haswell", 6, 16, 8, 32, 256, 24, 64, 256, 64},
    {"znver3", 6, 16, 8, 32, 512, 48, 128, 256, 128},
    {"znver5", 8, 32, 16, 48, 1024, 96, 256, 256, 256},
    {"skylake-avx512", 8, 32, 16, 32, 1024, 192, 512, 128, 256},
    {"sapphirerapids", 8, 32, 16, 48, 2048, 192, 512, 256, 256},
    {"neoverse-n1", 6, 16, 4, 64, 1024, 48, 128, 512, 256},
    {"neoverse-v1", 6, 16, 4, 64, 1024, 48, 128, 512, 256},
    {"apple-m1", 6, 16, 4, 128, 3072, 126, 256, 512, 256},
    // None of the table of caches.
    {"cortex-a57", 6, 16, 4, 48, 1024, 96, 256, 256, 256},
    {"sandybridge", 6, 16, 4, 48, 1024, 96, 256, 256, 256},
};

class Cpu : public ::testing::TestWithParam<Row> {};

TEST_P(Cpu, HasItsTilesAndBlocks) {
  const Row &row = GetParam();
  auto target = targetOptionsFor(row.cpu);
  ASSERT_TRUE(bool(target)) << llvm::toString(target.takeError());
  EXPECT_EQ(target->registerRows, row.rows);
  EXPECT_EQ(target->registerCols, row.cols);
  EXPECT_EQ(target->cost.coreGflops, 16 * row.lanes);
  EXPECT_EQ(target->cost.cacheGBs, row.lanes == 4 ? 128 : 256);
  EXPECT_EQ(target->caches.l1Bytes, row.l1KiB << 10);
  EXPECT_EQ(target->caches.l2Bytes, row.l2KiB << 10);
  EXPECT_EQ(target->cost.cacheBytes, CostConstants().cacheBytes);
  EXPECT_EQ(target->panelBytes, row.panelKiB << 10);
  BlockSizes blocks = chooseBlockSizes(*target);
  EXPECT_EQ(blocks.rows, row.blockRows);
  EXPECT_EQ(blocks.lanes, row.blockLanes);
  EXPECT_EQ(blocks.steps, row.blockSteps);
}

std::string nameOf(const ::testing::TestParamInfo<Row> &info) {
  std::string name = info.param.cpu;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, Cpu, ::testing::ValuesIn(kTable), nameOf);

TEST(CpuNames, UnknownOnesAreErrors) {
  for (const char *cpu : {"abacus", "gfx90a", "cortex-m4", "i486x"}) {
    std::string error = llvm::toString(targetOptionsFor(cpu).takeError());
    EXPECT_EQ(error, "unknown cpu '" + std::string(cpu) +
                         "': neither of x86-64 nor of AArch64");
  }
}

// LLVM knows them, and would end the process.
TEST(CpuNames, SomeHaveNo64BitMode) {
  std::string error = llvm::toString(targetOptionsFor("pentium3").takeError());
  EXPECT_EQ(error, "cpu 'pentium3' has no 64-bit mode");
}

TEST(CpuNames, TheHostIsOne) {
  auto target = targetOptionsFor("");
  ASSERT_TRUE(bool(target));
  BlockSizes blocks = chooseBlockSizes(*target);
  EXPECT_EQ(blocks.rows % target->registerRows, 0);
  EXPECT_EQ(blocks.lanes % target->registerCols, 0);
  EXPECT_GT(target->cost.cacheBytes, 0);
}

TEST(CpuNames, OtherArchitecturesDoNotRunHere) {
  bool isX86 = llvm::Triple(llvm::sys::getProcessTriple()).isX86();
  const char *own = isX86 ? "x86-64" : "neoverse-n1";
  const char *other = isX86 ? "neoverse-n1" : "x86-64";
  EXPECT_FALSE(bool(checkRunsHere("")));
  EXPECT_FALSE(bool(checkRunsHere(own)));
  std::string error = llvm::toString(checkRunsHere(other));
  std::string here = isX86 ? "x86_64" : "aarch64";
  std::string there = isX86 ? "aarch64" : "x86_64";
  EXPECT_EQ(error, "cpu '" + std::string(other) + "' is of " + there +
                       ", and this process runs on " + here +
                       "; write its code to a file (plait-run --emit), or "
                       "choose a cpu of " +
                       here);
}

} // namespace
