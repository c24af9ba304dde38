//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Comparing schedules: equality bit for bit in one pass, time in another, in
// blocks whose order rotates (rotating every step would let the copies of the
// weights evict each other).
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_COMPARE_H
#define PLAIT_TOOLS_RUN_COMPARE_H

#include "plait/Driver/Session.h"

#include "llvm/Support/JSON.h"

namespace plait::run {

struct CompareOptions {
  std::string entry, cpu;
  unsigned steps = 100, block = 20;
};

struct Comparison {
  bool equal = true;
  std::string table;
  llvm::json::Object report;
};

using MakeFeed = std::function<runtime::Expected<runtime::DataFeed>(
    const StepSignature &)>;

/// An empty message means that a diagnostic was printed.
runtime::Expected<Comparison>
compareSchedules(mlir::ModuleOp module, const CompareOptions &options,
                 Tensors &tensors, const MakeFeed &makeFeed);

/// Minimum and median, in ms; the first three steps are warm-up where there
/// are more.
struct Summary {
  double min = 0, median = 0;
};
Summary summarize(std::vector<double> ms);

/// The keys that every report has.
llvm::json::Object reportOf(const Session &session,
                            const std::vector<double> &ms, int threads);

/// Whether the last function run has an f32 scalar output.
bool hasLoss(const Session &session);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_COMPARE_H
