//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Logs.
//
//===----------------------------------------------------------------------===//

#include "Log.h"

#include "plait/Runtime/Error.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <unistd.h>

using namespace plait;
using namespace plait::run;
using llvm::StringRef;
namespace fs = llvm::sys::fs;

static constexpr StringRef kHeader = "step,loss,ms\n";
static constexpr StringRef kJsonStart = "{\"step\": ";

Log::~Log() {
  if (file)
    std::fclose(file);
}

/// Where the line of `step` ends in the log `text`, for a run that goes on
/// after it.
static runtime::Expected<size_t> endOfStep(StringRef text, uint64_t step,
                                           bool json) {
  runtime::Error noLog{"is no log of this format"};
  size_t at = 0;
  if (!json && !text.starts_with(kHeader))
    return noLog;
  if (!json)
    at = kHeader.size();
  uint64_t last = 0;
  // A line without an end is one that a killed run did not complete.
  while (last < step) {
    size_t end = text.find('\n', at);
    if (end == StringRef::npos)
      break;
    StringRef line = text.slice(at, end);
    if ((json && !line.consume_front(kJsonStart)) ||
        line.consumeInteger(10, last) || !line.starts_with(","))
      return noLog;
    at = end + 1;
  }
  if (last == step)
    return at;
  return runtime::Error{last < step ? "ends at step " + std::to_string(last)
                                    : "has no line of that step"};
}

int Log::goOn(uint64_t first) {
  auto text = llvm::MemoryBuffer::getFile(options.log);
  if (!text)
    return fail(options, "cannot read " + options.log + ": " +
                             text.getError().message());
  StringRef lines = (*text)->getBuffer();
  auto end = endOfStep(lines, first, json);
  if (!end)
    return fail(options, "--log=" + options.log + ": " + end.message() +
                             ", and this run goes on after step " +
                             llvm::Twine(first) +
                             "; give the log of the run that was saved, or a "
                             "new file");
  if (*end == lines.size())
    return kOk;
  warn(options, "--log=" + options.log + ": the lines after step " +
                    llvm::Twine(first) +
                    ", from which this run goes on, are written anew");
  if (::truncate(options.log.c_str(), *end) != 0)
    return fail(options,
                "cannot write " + options.log + ": " + std::strerror(errno));
  return kOk;
}

int Log::open(uint64_t first) {
  if (options.log.empty())
    return kOk;
  json = StringRef(options.log).ends_with(".jsonl");
  // A device, or a pipe, has no lines of an earlier run.
  uint64_t size = 0;
  bool goesOn = first != 0 && fs::is_regular_file(options.log) &&
                !fs::file_size(options.log, size) && size != 0;
  if (goesOn)
    if (int code = goOn(first))
      return code;
  file = std::fopen(options.log.c_str(), goesOn ? "a" : "w");
  if (!file)
    return fail(options,
                "cannot write " + options.log + ": " + std::strerror(errno));
  // A line a step, so that others can follow.
  std::setvbuf(file, nullptr, _IOLBF, BUFSIZ);
  if (!json && !goesOn && std::fputs(kHeader.data(), file) < 0)
    return giveUp();
  return kOk;
}

int Log::giveUp() {
  int error = errno;
  std::fclose(file);
  file = nullptr;
  hasFailed = true;
  return fail(options,
              "cannot write " + options.log + ": " + std::strerror(error));
}

void Log::write(uint64_t step, float loss, double ms) {
  if (!file)
    return;
  char number[32] = "null";
  if (std::isfinite(loss))
    std::snprintf(number, sizeof number, "%.9g", double(loss));
  int written =
      std::fprintf(file,
                   json ? "{\"step\": %llu, \"loss\": %s, \"ms\": %.4f}\n"
                        : "%llu,%s,%.4f\n",
                   (unsigned long long)step, number, ms);
  // The training is worth more than its log: it goes on, the exit code tells.
  if (written < 0)
    giveUp();
}
