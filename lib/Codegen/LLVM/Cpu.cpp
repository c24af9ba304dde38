//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Finds the architecture of a cpu, and chooses the register tile by the vectors
// it has: how many lanes, and how many registers.
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/Cpu.h"
#include "TargetMachine.h"

#include "plait/Codegen/HostCache.h"
#include "plait/Target/BlockSizes.h"

#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"

using namespace plait;
using llvm::StringRef;
using llvm::Triple;
using llvm::orc::JITTargetMachineBuilder;

using MachineOrError = llvm::Expected<std::unique_ptr<llvm::TargetMachine>>;

//===----------------------------------------------------------------------===//
// LLVM's description
//===----------------------------------------------------------------------===//

static bool knows(const llvm::TargetMachine &machine, StringRef cpu) {
  // Asked of a machine for another cpu: LLVM would print a warning.
  return machine.getMCSubtargetInfo()->isCPUStringValid(cpu);
}

/// The host, if it knows `cpu`; else the same system on the other architecture.
static llvm::Expected<JITTargetMachineBuilder> findArchitecture(StringRef cpu) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto host = JITTargetMachineBuilder::detectHost();
  if (!host || cpu.empty())
    return host;
  auto machine = host->createTargetMachine();
  if (!machine)
    return machine.takeError();
  if (knows(**machine, cpu))
    return host;
  // Asked of another machine alone: it takes some time.
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargets();
  llvm::InitializeAllTargetMCs();
  llvm::InitializeAllAsmPrinters();
  for (Triple::ArchType arch : {Triple::x86_64, Triple::aarch64}) {
    Triple triple = host->getTargetTriple();
    if (triple.getArch() == arch)
      continue;
    triple.setArch(arch);
    triple.setVendor(Triple::UnknownVendor);
    JITTargetMachineBuilder builder(triple);
    auto other = builder.createTargetMachine();
    if (!other)
      llvm::consumeError(other.takeError()); // an LLVM built without it
    else if (knows(**other, cpu))
      return builder;
  }
  return llvm::createStringError("unknown cpu '" + cpu +
                                 "': neither of x86-64 nor of AArch64");
}

MachineOrError
plait::makeTargetMachine(StringRef cpu,
                         std::optional<llvm::Reloc::Model> relocation) {
  auto builder = findArchitecture(cpu);
  if (!builder)
    return builder.takeError();
  if (!cpu.empty()) {
    builder->setCPU(cpu.str());
    builder->getFeatures() = llvm::SubtargetFeatures();
  }
  builder->setRelocationModel(relocation);
  builder->setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
  auto machine = builder->createTargetMachine();
  // LLVM would end the process when it comes to a function.
  if (machine && (*machine)->getTargetTriple().getArch() == Triple::x86_64 &&
      !(*machine)->getMCSubtargetInfo()->checkFeatures("+64bit"))
    return llvm::createStringError("cpu '" + cpu + "' has no 64-bit mode");
  return machine;
}

llvm::Error plait::checkRunsHere(StringRef cpu) {
  auto host = makeTargetMachine("");
  if (!host)
    return host.takeError();
  auto machine = makeTargetMachine(cpu);
  if (!machine)
    return machine.takeError();
  StringRef own = (*host)->getTargetTriple().getArchName();
  StringRef asked = (*machine)->getTargetTriple().getArchName();
  if ((*host)->getTargetTriple().getArch() ==
      (*machine)->getTargetTriple().getArch())
    return llvm::Error::success();
  return llvm::createStringError(
      "cpu '" + cpu + "' is of " + asked + ", and this process runs on " + own +
      "; write its code to a file (plait-run --emit), or choose a cpu of " +
      own);
}

//===----------------------------------------------------------------------===//
// What pipelines are told
//===----------------------------------------------------------------------===//

/// The register tile and the lanes of a vector. A tile's columns are two vectors
/// for what multiplies single vectors, so NEON has two registers for each.
static void chooseVectors(TargetOptions &target,
                          const llvm::TargetMachine &machine) {
  const llvm::MCSubtargetInfo &features = *machine.getMCSubtargetInfo();
  auto choose = [&](int64_t rows, int64_t cols, int64_t lanes) {
    target.registerRows = rows;
    target.registerCols = cols;
    // At 4 GHz: two units of multiply-adds, a lane and a GHz 4 GFLOP/s; and in each
    // cycle a vector read and one written, as far as caches give 64 bytes.
    target.cost.coreGflops = 16 * lanes;
    target.cost.cacheGBs = std::min<int64_t>(32 * lanes, 256);
  };
  if (machine.getTargetTriple().isAArch64())
    return choose(6, 16, 4); // 32 registers: 24 of sums, 4 of lanes
  if (features.checkFeatures("+avx512f"))
    return choose(8, 32, 16); // 32 registers: 16 of sums, 2 of lanes
  if (features.checkFeatures("+avx2"))
    return choose(6, 16, 8); // 16 registers: 12 of sums, 2 of lanes
  if (features.checkFeatures("+avx"))
    return choose(6, 16, 4); // the same, at half the speed without fma
  choose(6, 8, 4);           // 16 registers: 12 of sums, 2 of lanes
}

llvm::Expected<TargetOptions> plait::targetOptionsFor(StringRef cpu) {
  auto machine = makeTargetMachine(cpu);
  if (!machine)
    return machine.takeError();
  TargetOptions target;
  chooseVectors(target, **machine);
  // A named cpu is the same on every machine.
  HostCaches host = cpu.empty() ? hostCaches() : HostCaches();
  CacheSizes caches =
      cachesOfCpu(cpu.empty() ? llvm::sys::getHostCPUName() : cpu);
  if (host.l1Bytes)
    caches.l1Bytes = host.l1Bytes;
  if (host.l2Bytes)
    caches.l2Bytes = host.l2Bytes;
  if (host.lastBytes)
    target.cost.cacheBytes = host.lastBytes;
  setCaches(target, caches);
  return target;
}
