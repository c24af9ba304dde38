//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The line on a terminal that says how far a run is.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_PROGRESS_H
#define PLAIT_TOOLS_RUN_PROGRESS_H

#include <chrono>
#include <cstdint>

namespace plait::run {

/// Rewrites one line of stderr, at most ten times a second; does nothing where
/// stderr is no terminal.
class Progress {
public:
  /// For steps `first` + 1 to `last`, counted over all resumes.
  Progress(uint64_t first, uint64_t last);
  ~Progress();

  /// Shows that `step` is done.
  void update(uint64_t step, float loss);

  /// Removes the line, so that others can write; the next update() brings it
  /// back.
  void clear();

private:
  using Clock = std::chrono::steady_clock;
  bool terminal;
  bool shown = false;
  uint64_t first, last;
  Clock::time_point start = Clock::now(), next = start;
};

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_PROGRESS_H
