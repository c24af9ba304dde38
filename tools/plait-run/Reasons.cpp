//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reasons: a streamer for MLIR's remarks that keeps the text.
//
//===----------------------------------------------------------------------===//

#include "Reasons.h"

#include "mlir/IR/Remarks.h"

#include <mutex>

using namespace mlir;
using namespace plait;
using namespace plait::run;

void Reasons::add(Location loc, StringRef param, StringRef text) {
  std::string &all = texts[{loc.getAsOpaquePointer(), param.str()}];
  // Each sentence names the update; the report's entry does so already.
  text.consume_front(("update of \"" + param + "\" ").str());
  all += (all.empty() ? "" : "; ") + text.str();
}

std::string Reasons::of(const UpdateReport &update) const {
  auto it = texts.find({update.loc.getAsOpaquePointer(), update.param});
  return it == texts.end() ? "" : it->second;
}

struct ReasonCollector::Shared {
  std::mutex mutex;
  Reasons reasons;
};

namespace {
class Streamer : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Streamer(std::shared_ptr<ReasonCollector::Shared> shared)
      : shared(std::move(shared)) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    std::lock_guard<std::mutex> lock(shared->mutex);
    for (const remark::detail::Remark::Arg &arg : remark.getArgs())
      shared->reasons.add(remark.getLocation(), remark.getFunction(), arg.val);
  }

private:
  std::shared_ptr<ReasonCollector::Shared> shared;
};
} // namespace

ReasonCollector::ReasonCollector(MLIRContext &context)
    : shared(std::make_shared<Shared>()) {
  remark::RemarkCategories categories;
  // `all` alone enables no kind.
  categories.passed = "train-(place|backward-fusion|forward-fusion|order-updates|"
                      "materialize-next)";
  categories.missed = categories.passed;
  // It fails only where the context has an engine: see the class comment.
  (void)remark::enableOptimizationRemarks(
      context, std::make_unique<Streamer>(shared),
      std::make_unique<remark::RemarkEmittingPolicyAll>(), categories);
}

Reasons ReasonCollector::take() {
  std::lock_guard<std::mutex> lock(shared->mutex);
  return std::exchange(shared->reasons, Reasons());
}
