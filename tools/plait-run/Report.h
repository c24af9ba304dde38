//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a run says about itself afterwards: times, sizes, placements, as JSON.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_REPORT_H
#define PLAIT_TOOLS_RUN_REPORT_H

#include "Options.h"
#include "Reasons.h"

#include "plait/Driver/Session.h"

#include "llvm/Support/JSON.h"

namespace plait::run {

/// Minimum and median, in ms; the first three steps are warm-up where there
/// are more.
struct Summary {
  double min = 0, median = 0;
};
Summary summarize(std::vector<double> ms);

/// What a run leaves behind for its report.
struct Trace {
  Reasons reasons;
  std::vector<double> ms;    ///< of each timed step
  std::vector<float> losses; ///< of each step
  uint64_t firstStep = 0;    ///< steps before this run, see --resume
};

/// Bytes of a run that are not its session's.
struct MemoryUse {
  int64_t process = 0;  ///< program and compiler, without tensors
  int64_t data = 0;     ///< data sets that inputs are taken from
  int64_t resident = 0; ///< measured after the last step, everything included
};

/// The keys that every report has, see docs/ABI.md.
llvm::json::Object reportOf(const Session &session, const Trace &trace);

/// A number; null where JSON has none.
llvm::json::Value toJson(double number);

/// Writes --report; an exit code.
int writeReport(const RunOptions &options, const llvm::json::Value &value);

/// Whether the last function run has an f32 scalar output.
bool hasLoss(const Session &session);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_REPORT_H
