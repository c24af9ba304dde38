//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A folder index0, index1, ... for each cache, with small files in it: "level"
// is "3", "type" is "Data", "Instruction" or "Unified", "size" is "32768K",
// "shared_cpu_list" is "0-3,8".
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/HostCache.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace plait;
using llvm::StringRef;

static std::string read(const llvm::Twine &path) {
  // Files of sysfs say that they have 4096 bytes.
  auto text = llvm::MemoryBuffer::getFileAsStream(path.str());
  return text ? (*text)->getBuffer().trim().str() : "";
}

/// "32768K" in bytes; 0 for what is no size.
static int64_t parseSize(StringRef text) {
  int64_t unit = text.consume_back("K")   ? 1 << 10
                 : text.consume_back("M") ? 1 << 20
                                          : 1;
  int64_t count;
  return text.getAsInteger(10, count) || count < 0 ? 0 : count * unit;
}

/// How many processors "0-3,8" names; 1 for what is no list.
static int64_t countProcessors(StringRef list) {
  llvm::SmallVector<StringRef> ranges;
  list.split(ranges, ',');
  int64_t count = 0;
  for (StringRef range : ranges) {
    auto [begin, end] = range.split('-');
    int64_t first, last;
    if (begin.getAsInteger(10, first))
      return 1;
    if (end.empty())
      last = first;
    else if (end.getAsInteger(10, last) || last < first)
      return 1;
    count += last - first + 1;
  }
  return count;
}

HostCaches plait::hostCaches(StringRef folder) {
  HostCaches caches;
  int64_t lastLevel = 0, threads = 1;
  for (unsigned index = 0;; ++index) {
    std::string cache = (folder + "/index" + llvm::Twine(index) + "/").str();
    int64_t level;
    if (StringRef(read(cache + "level")).getAsInteger(10, level))
      break;
    int64_t size = parseSize(read(cache + "size"));
    if (read(cache + "type") == "Instruction" || level <= lastLevel ||
        size == 0)
      continue;
    lastLevel = level;
    caches.lastBytes = size;
    int64_t sharers = countProcessors(read(cache + "shared_cpu_list"));
    if (level == 1) {
      // Those that share the first one are one core's.
      threads = sharers;
      caches.l1Bytes = size;
    } else if (level == 2) {
      caches.l2Bytes = size / std::max<int64_t>(1, sharers / threads);
    }
  }
  return caches;
}
