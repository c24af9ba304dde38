//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is known of a cpu by its name: of its vector units by LLVM, of its caches
// by a table.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_CODEGEN_CPU_H
#define PLAIT_CODEGEN_CPU_H

#include "plait/Target/TargetOptions.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace plait {

/// Sizes of register tiles and caches of `cpu` (empty: the host), and the
/// constants of the cost model. Those of a name are the same on every machine;
/// the host's caches are what the system says. Never from the number of threads.
/// A cpu is of x86-64 or AArch64, whichever the host is; the error says that
/// LLVM knows no such one.
llvm::Expected<TargetOptions> targetOptionsFor(llvm::StringRef cpu);

/// The caches of a core that LLVM calls `cpu`, as published; the defaults for a
/// name that the table does not have.
CacheSizes cachesOfCpu(llvm::StringRef cpu);

/// Fails where this process cannot run code for `cpu`: it is of another
/// architecture.
llvm::Error checkRunsHere(llvm::StringRef cpu);

} // namespace plait

#endif // PLAIT_CODEGEN_CPU_H
