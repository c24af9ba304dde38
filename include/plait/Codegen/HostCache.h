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
#include <optional>

namespace plait {

/// Bytes of the last-level cache that the first processor sees. Nothing where
/// the system does not say. sysconf is no source: it adds up the caches of a
/// socket, or knows those of a whole host.
std::optional<int64_t>
hostCacheBytes(llvm::StringRef folder = "/sys/devices/system/cpu/cpu0/cache");

} // namespace plait

#endif // PLAIT_CODEGEN_HOSTCACHE_H
