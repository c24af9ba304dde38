//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Why each update is where it is: the remarks that the scheduling passes emit,
// collected for a report.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_REASONS_H
#define PLAIT_TOOLS_RUN_REASONS_H

#include "plait/Driver/StepSignature.h"

#include <map>
#include <memory>

namespace plait::run {

/// What was said of each update, by its location and its parameter: the clones
/// that fusion makes keep both.
class Reasons {
public:
  void add(mlir::Location loc, llvm::StringRef param, llvm::StringRef text);

  /// All sentences on the update, in the order of the passes; empty where there
  /// are none.
  std::string of(const UpdateReport &update) const;

private:
  std::map<std::pair<const void *, std::string>, std::string> texts;
};

/// Listens to the remarks of a context, from its construction on. One context
/// has one listener.
class ReasonCollector {
public:
  explicit ReasonCollector(mlir::MLIRContext &context);

  /// What was said since the last call.
  Reasons take();

  struct Shared;

private:
  /// Shared with the context, which emits from several threads.
  std::shared_ptr<Shared> shared;
};

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_REASONS_H
