//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Caches of a core by LLVM's name for it. LLVM has none: its X86 answers for every
// cpu with a Nehalem's, its AArch64 not at all. A name is of a core, which may be
// built with several sizes: the table has the one of the products that most people
// have. A second cache that cores share counts by its part.
//
// Sources: Intel 64 and IA-32 Architectures Optimization Reference Manual; AMD
// Software Optimization Guides for families 17h, 19h and 1Ah; Arm's Technical
// Reference Manuals of the cores, and of their products AWS Graviton 2, 3 and 4;
// Apple's `sysctl hw.perflevel0`.
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/Cpu.h"

#include "llvm/ADT/StringSwitch.h"

using namespace plait;

static constexpr CacheSizes inKiB(int64_t first, int64_t second) {
  return {first << 10, second << 10};
}

CacheSizes plait::cachesOfCpu(llvm::StringRef cpu) {
  return llvm::StringSwitch<CacheSizes>(cpu)
      // Of no product: as of a Skylake server and a Zen 4.
      .Cases({"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "generic"},
             inKiB(32, 1024))
      .Cases({"haswell", "broadwell", "skylake"}, inKiB(32, 256))
      .Cases({"skylake-avx512", "cascadelake", "cooperlake"}, inKiB(32, 1024))
      .Cases({"icelake-client", "rocketlake"}, inKiB(48, 512))
      .Cases({"icelake-server", "tigerlake", "alderlake"}, inKiB(48, 1280))
      .Cases({"sapphirerapids", "emeraldrapids", "graniterapids"},
             inKiB(48, 2048))
      .Cases({"raptorlake", "meteorlake"}, inKiB(48, 2048))
      .Cases({"znver1", "znver2", "znver3"}, inKiB(32, 512))
      .Case("znver4", inKiB(32, 1024))
      .Case("znver5", inKiB(48, 1024))

      .Cases({"neoverse-n1", "neoverse-n2", "neoverse-v1"}, inKiB(64, 1024))
      .Case("neoverse-v2", inKiB(64, 2048))
      // Four cores share 12 and 16 MiB.
      .Case("apple-m1", inKiB(128, 3072))
      .Cases({"apple-m2", "apple-m3", "apple-m4"}, inKiB(128, 4096))
      .Default(CacheSizes());
}
