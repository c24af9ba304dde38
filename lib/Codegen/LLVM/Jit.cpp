//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The JIT: LLVM's -O3 pipeline for the chosen CPU. No fast-math: a compiled
// step computes what its graph says, in that order.
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/Jit.h"
#include "plait/Codegen/HostCache.h"
#include "plait/Codegen/OutlineLoops.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <dlfcn.h>

using namespace mlir;
using namespace plait;

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
makeTargetMachine(StringRef cpu) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!builder)
    return builder.takeError();
  if (!cpu.empty()) {
    // Asked of another machine: LLVM itself would only print a warning.
    auto host = builder->createTargetMachine();
    if (!host)
      return host.takeError();
    if (!(*host)->getMCSubtargetInfo()->isCPUStringValid(cpu))
      return llvm::createStringError("unknown cpu '" + cpu + "'");
    builder->setCPU(cpu.str());
    builder->getFeatures() = llvm::SubtargetFeatures();
  }
  builder->setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
  auto machine = builder->createTargetMachine();
  return machine;
}

llvm::Expected<TargetOptions> plait::targetOptionsFor(StringRef cpu) {
  auto machine = makeTargetMachine(cpu);
  if (!machine)
    return machine.takeError();
  TargetOptions options;
  // Two units of multiply-adds at 4 GHz, a lane and a GHz 4 GFLOP/s.
  auto setLanes = [&](int64_t lanes) { options.cost.coreGflops = 16 * lanes; };
  const llvm::MCSubtargetInfo &features = *(*machine)->getMCSubtargetInfo();
  setLanes(features.checkFeatures("+avx2") ? 8 : 4);
  // 32 vector registers of 16 lanes hold an 8x32 tile, 16 of 8 lanes a 6x16.
  if (features.checkFeatures("+avx512f")) {
    options.registerRows = 8;
    options.registerCols = 32;
    setLanes(16);
  }
  // A named cpu is the same on every machine.
  if (auto bytes = cpu.empty() ? hostCacheBytes() : std::nullopt)
    options.cost.cacheBytes = *bytes;
  return options;
}

/// What `module` calls and this library can see: OpenMP's runtime, libm.
///
/// The engine itself looks in the process's global scope alone. A library that
/// an interpreter has loaded is not in it, and neither is the OpenMP runtime
/// that came with it; RTLD_DEFAULT includes what this library links.
/// A function that is nowhere has a null address.
static llvm::StringMap<void *> resolveDeclarations(llvm::Module &module) {
  llvm::StringMap<void *> found;
  for (llvm::Function &function : module)
    if (function.isDeclaration() && !function.isIntrinsic() &&
        !function.use_empty())
      found[function.getName()] =
          dlsym(RTLD_DEFAULT, function.getName().str().c_str());
  return found;
}

/// The engine's own error names the functions of the module, not what it lacks.
static llvm::Error checkResolved(const llvm::StringMap<void *> &called) {
  for (auto &entry : called)
    if (!entry.getValue())
      return llvm::createStringError(
          "calls '" + entry.getKey() +
          "', which nothing in this process defines; give it a body, or load "
          "the library that has it first");
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<Jit>> Jit::create(ModuleOp module,
                                                 const JitOptions &options) {
  auto machine = makeTargetMachine(options.cpu);
  if (!machine)
    return machine.takeError();
  DialectRegistry registry;
  registerAllToLLVMIRTranslations(registry);
  module.getContext()->appendDialectRegistry(registry);

  ExecutionEngineOptions engineOptions;
  auto optimize = makeOptimizingTransformer(/*optLevel=*/3, /*sizeLevel=*/0,
                                            machine->get());
  llvm::StringMap<void *> called;
  auto transform = [&](llvm::Module *llvmModule) {
    outlineLoops(*llvmModule);
    llvm::Error error = optimize(llvmModule);
    called = resolveDeclarations(*llvmModule);
    return error;
  };
  engineOptions.transformer = transform;
  engineOptions.jitCodeGenOptLevel = llvm::CodeGenOptLevel::Aggressive;
  engineOptions.enableGDBNotificationListener = false;
  engineOptions.enablePerfNotificationListener = false;
  auto engine =
      ExecutionEngine::create(module, engineOptions, std::move(*machine));
  if (!engine)
    return engine.takeError();
  if (llvm::Error error = checkResolved(called))
    return error;
  auto jit = std::make_unique<Jit>();
  jit->engine = std::move(*engine);
  jit->engine->registerSymbols([&](llvm::orc::MangleAndInterner mangle) {
    llvm::orc::SymbolMap symbols;
    for (auto &entry : called)
      symbols[mangle(entry.getKey())] = {
          llvm::orc::ExecutorAddr::fromPtr(entry.getValue()),
          llvm::JITSymbolFlags::Exported};
    return symbols;
  });
  // Machine code is generated at the first look-up.
  for (auto fn : module.getOps<LLVM::LLVMFuncOp>()) {
    if (fn.isExternal() || fn.getLinkage() != LLVM::Linkage::External)
      continue;
    auto address = jit->engine->lookupPacked(fn.getSymName());
    if (!address)
      return address.takeError();
    jit->functions[fn.getSymName()] = *address;
  }
  return jit;
}
