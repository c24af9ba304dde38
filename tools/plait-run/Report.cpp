//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reports: every key in one place.
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>
#include <omp.h>

using namespace plait;
using namespace plait::run;

Summary run::summarize(std::vector<double> ms) {
  if (ms.size() > 6)
    ms.erase(ms.begin(), ms.begin() + 3);
  if (ms.empty())
    return {};
  std::sort(ms.begin(), ms.end());
  return {ms.front(), ms[ms.size() / 2]};
}

bool run::hasLoss(const Session &session) {
  for (const Slot &slot : session.lastRun()->slots)
    if (slot.kind == Kind::Output && slot.dtype == runtime::DType::F32 &&
        slot.shape.empty())
      return true;
  return false;
}

llvm::json::Value run::toJson(double number) {
  return std::isfinite(number) ? llvm::json::Value(number)
                               : llvm::json::Value(nullptr);
}

static llvm::json::Array updatesOf(const Session &session,
                                   const Reasons &reasons) {
  llvm::json::Array updates;
  for (const UpdateReport &u : session.updates)
    updates.push_back(llvm::json::Object{{"param", u.param},
                                         {"placement", u.placement},
                                         {"cluster", u.inCluster},
                                         {"gradient_bytes", u.gradientBytes},
                                         {"reason", reasons.of(u)}});
  return updates;
}

llvm::json::Object run::reportOf(const Session &session, const Trace &trace) {
  Summary time = summarize(trace.ms);
  int64_t params = session.bytesOf(Kind::Param);
  int64_t states = session.bytesOf(Kind::State);
  int64_t pending = session.bytesOf(Kind::Pending);
  llvm::json::Object report{
      {"schedule", session.schedule()},
      {"backend", "llvm"},
      {"threads", omp_get_max_threads()},
      {"steps", int64_t(trace.ms.size())},
      {"compile_ms", session.compileMs},
      {"ms_per_step",
       llvm::json::Object{{"min", time.min}, {"median", time.median}}},
      {"peak_bytes", session.peakBytes()},
      {"gradient_bytes", session.gradientBytes()},
      {"arena_bytes", session.arenaBytes},
      {"pending_bytes", pending},
      {"param_bytes", params},
      {"state_bytes", states},
      {"updates", updatesOf(session, trace.reasons)}};
  llvm::json::Array losses;
  if (session.lastRun() && hasLoss(session))
    for (auto [i, loss] : llvm::enumerate(trace.losses)) {
      losses.push_back(toJson(loss));
      if (!std::isfinite(loss))
        report.try_emplace("diverged_at_step", trace.firstStep + i + 1);
    }
  report["loss"] = std::move(losses);
  return report;
}

int run::writeReport(const RunOptions &options,
                     const llvm::json::Value &value) {
  std::error_code error;
  llvm::raw_fd_ostream os(options.report, error);
  if (error)
    return fail(options, options.report + ": " + error.message());
  os << llvm::formatv("{0:2}\n", value);
  os.flush();
  if (!os.has_error())
    return kOk;
  std::string reason = os.error().message();
  os.clear_error(); // which would end the process, as if it were a bug
  return fail(options, options.report + ": " + reason);
}
