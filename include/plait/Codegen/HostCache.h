//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The caches of the machine that runs, as Linux describes them.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_CODEGEN_HOSTCACHE_H
#define PLAIT_CODEGEN_HOSTCACHE_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace plait {

/// The caches that hold data, as the first processor sees them; 0 for what the
/// system does not say.
struct HostCaches {
  int64_t l1Bytes = 0;
  int64_t l2Bytes = 0;   ///< one core's part, where several share it
  int64_t lastBytes = 0; ///< of the last level, all of it
};

/// sysconf is no source: it adds up the caches of a socket, or knows those of a
/// whole host.
HostCaches
hostCaches(llvm::StringRef folder = "/sys/devices/system/cpu/cpu0/cache");

} // namespace plait

#endif // PLAIT_CODEGEN_HOSTCACHE_H
