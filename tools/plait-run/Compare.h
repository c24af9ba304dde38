//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Comparing schedules: equality bit for bit in one pass, of the outputs of each
// step and of what is carried after the last; time in another, in blocks whose
// order rotates (rotating every step would let the copies of the weights evict
// each other).
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_COMPARE_H
#define PLAIT_TOOLS_RUN_COMPARE_H

#include "Data.h"
#include "Report.h"

namespace plait::run {

/// Runs every schedule on the same inputs, prints a table, and writes a report
/// where one is asked for; an exit code.
int runComparison(mlir::ModuleOp module, const RunOptions &options,
                  Tensors &tensors, ReasonCollector &reasons);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_COMPARE_H
