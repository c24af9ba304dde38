//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What pipelines take from the machine that code is generated for.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TARGET_TARGETOPTIONS_H
#define PLAIT_TARGET_TARGETOPTIONS_H

#include <cstdint>

namespace plait {

/// What the cost model knows of the machine: of one core, because a choice must
/// not depend on how many there are. Only the ratios of the three rates decide. The
/// memory's is no property of a cpu: 56 GB/s stands for a server of today, and choices
/// hold from two thirds to twice of it (test/python/test_fusion_cost.py).
struct CostConstants {
  int64_t cacheBytes = 32 << 20; ///< of the last-level cache
  double coreGflops = 256;       ///< f32 multiply-adds, counted as two
  double cacheGBs = 256;         ///< read and written, in the last-level cache
  double memoryGBs = 56;         ///< the same, in memory
};

/// Bytes of data that the first two caches hold for one core. The last one is
/// `CostConstants::cacheBytes`: blocks do not depend on it, nor do the rates on
/// these.
struct CacheSizes {
  int64_t l1Bytes = 48 << 10;
  int64_t l2Bytes = 1 << 20;
};

/// What the pipelines take from the machine the code is for. Passes never look
/// at the machine they run on.
struct TargetOptions {
  CacheSizes caches;
  int64_t panelBytes = 262144; ///< bytes of a gradient panel, to fit L2
  int64_t registerRows = 6;    ///< rows of a GEMM register tile
  int64_t registerCols = 16;   ///< columns of a GEMM register tile
  /// Whether weights get the layout that their products read, which changes the
  /// types of a step's arguments (train-block-parameters).
  bool blockParameters = false;
  bool epilogues = true;  ///< off to compare with separate loops
  bool sideBySide = true; ///< see train-side-by-side
  CostConstants cost;
};

} // namespace plait

#endif // PLAIT_TARGET_TARGETOPTIONS_H
