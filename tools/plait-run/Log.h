//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The file of --log: a line for each step, as CSV or JSON lines. One file tells
// of one run, over all of its resumes: its steps go on without a gap, and none
// is there twice.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_LOG_H
#define PLAIT_TOOLS_RUN_LOG_H

#include "Options.h"

#include <cstdio>

namespace plait::run {

class Log {
public:
  explicit Log(const RunOptions &options) : options(options) {}
  ~Log();
  Log(const Log &) = delete;
  Log &operator=(const Log &) = delete;

  /// Opens the file, where one is asked for; an exit code. A run that begins
  /// after step `first` goes on in the file of the run before, behind the line
  /// of that step; a file without that line is refused.
  int open(uint64_t first);

  /// Writes the line of `step`; nothing where no file is open.
  void write(uint64_t step, float loss, double ms);

  /// Whether a line could not be written. The message was printed.
  bool failed() const { return hasFailed; }

private:
  int goOn(uint64_t first);
  int giveUp();

  const RunOptions &options;
  std::FILE *file = nullptr;
  bool json = false, hasFailed = false;
};

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_LOG_H
