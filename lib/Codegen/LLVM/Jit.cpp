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
#include "TargetMachine.h"

#include "plait/Codegen/OutlineLoops.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

#include <dlfcn.h>

using namespace mlir;
using namespace plait;

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
