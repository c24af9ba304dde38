//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The memory of this process: how much is resident, and whose it becomes.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DRIVER_MEMORY_H
#define PLAIT_DRIVER_MEMORY_H

#include <cstddef>
#include <cstdint>

namespace plait::run {

/// What the system counts as resident (VmRSS): code that was used, too.
int64_t residentBytes();

/// Gives back what malloc holds and nobody uses. A compiler leaves a lot of it.
void releaseFreeMemory();

/// Makes OpenMP start its threads, which it would do in the first step, and load
/// of its own code what a loop needs.
void startThreads();

/// memcpy by the OpenMP threads, each an equal part in order: as steps divide the
/// rows of a parameter. A page that nobody has touched goes to the memory of the
/// thread that writes it.
void copyByThreads(void *to, const void *from, size_t bytes);

} // namespace plait::run

#endif // PLAIT_DRIVER_MEMORY_H
