//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The command line of plait-run: which options there are, which exclude each
// other, and how the tool says no.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_OPTIONS_H
#define PLAIT_TOOLS_RUN_OPTIONS_H

#include "plait/Codegen/EmitCode.h"
#include "plait/Driver/Session.h"
#include "plait/Target/TargetOptions.h"

#include "llvm/ADT/Twine.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace plait::run {

/// Documented in docs/ABI.md.
enum ExitCode {
  kOk = 0,
  kDiffers = 1,
  kUsage = 2,
  kInternal = 3,
  kInterrupted = 130
};

/// What the user asked for; names are those of the options.
struct RunOptions {
  std::string file, entry, schedule, cpu;
  Layout layout;
  CacheSizes caches;  ///< 0: not given
  CostConstants cost; ///< 0: not given
  bool epilogues = true, sideBySide = true;
  /// Empty where the step shall run.
  std::optional<CodeFormat> emit;
  std::string output; ///< empty: standard output
  std::vector<std::string> inputFiles, inputSingles;
  bool randomInputs = false;
  /// Empty where the user did not say.
  std::optional<uint64_t> seed;
  std::optional<bool> shuffle, wrap;
  unsigned steps = 0, threads = 0;
  std::string eval;
  std::vector<std::string> evalFiles;
  unsigned evalEvery = 0;
  std::string results, log, report;
  std::string save, resume;
  unsigned saveEvery = 0, keep = 0;
  bool checkFinite = true, printSchedule = false;
  bool compare = false;
  unsigned block = 0;

  /// What of them says how the step is compiled.
  SessionOptions session() const;
};

/// The checked options; nothing, with the error printed, where they are wrong.
/// --help and --version exit by themselves.
std::optional<RunOptions> parseOptions(int argc, char **argv);

/// Prints "FILE: warning: MESSAGE".
void warn(const RunOptions &options, const llvm::Twine &message);

/// Prints "FILE: error: MESSAGE" and returns `code`. An empty message says that
/// a diagnostic was printed already.
int fail(const RunOptions &options, const llvm::Twine &message,
         int code = kUsage);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_OPTIONS_H
