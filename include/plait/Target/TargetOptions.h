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

/// What the pipelines take from the machine the code is for. Passes never look
/// at the machine they run on.
struct TargetOptions {
  int64_t panelBytes = 262144; ///< bytes of a gradient panel, to fit L2
  int64_t registerRows = 6;    ///< rows of a GEMM register tile
  int64_t registerCols = 16;   ///< columns of a GEMM register tile
};

} // namespace plait

#endif // PLAIT_TARGET_TARGETOPTIONS_H
