//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reports: the keys of design and docs in one place.
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>

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

llvm::json::Object run::reportOf(const Session &session,
                                 const std::vector<double> &ms, int threads) {
  Summary time = summarize(ms);
  llvm::json::Array updates;
  for (const UpdateReport &u : session.updates)
    updates.push_back(llvm::json::Object{{"param", u.param},
                                         {"placement", u.placement},
                                         {"cluster", u.inCluster},
                                         {"gradient_bytes", u.gradientBytes}});
  int64_t params = session.bytesOf(Kind::Param);
  int64_t states = session.bytesOf(Kind::State);
  int64_t pending = session.bytesOf(Kind::Pending);
  return llvm::json::Object{
      {"schedule", session.schedule()},
      {"backend", "llvm"},
      {"threads", threads},
      {"steps", int64_t(ms.size())},
      {"compile_ms", session.compileMs},
      {"ms_per_step",
       llvm::json::Object{{"min", time.min}, {"median", time.median}}},
      {"peak_bytes", params + states + pending + session.arenaBytes +
                         session.bytesOf(Kind::Input)},
      {"gradient_bytes", session.gradientBytes()},
      {"arena_bytes", session.arenaBytes},
      {"pending_bytes", pending},
      {"param_bytes", params},
      {"state_bytes", states},
      {"updates", std::move(updates)}};
}

llvm::json::Array run::lossArray(llvm::ArrayRef<float> losses) {
  llvm::json::Array array;
  for (float loss : losses)
    array.push_back(std::isfinite(loss) ? llvm::json::Value(double(loss))
                                        : llvm::json::Value(nullptr));
  return array;
}

int run::writeReport(const RunOptions &options,
                     const llvm::json::Value &value) {
  std::error_code error;
  llvm::raw_fd_ostream os(options.report, error);
  if (error)
    return fail(options, options.report + ": " + error.message());
  os << llvm::formatv("{0:2}\n", value);
  return kOk;
}
