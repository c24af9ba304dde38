//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the JIT does, up to a file.
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/EmitCode.h"
#include "TargetMachine.h"

#include "plait/Codegen/OutlineLoops.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace plait;

/// Who compiles the text further finds in it what it was made for.
static void nameCpu(llvm::Module &module, const llvm::TargetMachine &machine) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    if (!machine.getTargetFeatureString().empty())
      function.addFnAttr("target-features", machine.getTargetFeatureString());
  }
}

/// What callers must know beside the signature (docs/ABI.md), as constants: how
/// large the arena of each function is.
static void addArenaSizes(ModuleOp module, llvm::Module &code) {
  auto *type = llvm::Type::getInt64Ty(code.getContext());
  for (auto fn : module.getOps<LLVM::LLVMFuncOp>())
    if (auto bytes = fn->getAttrOfType<IntegerAttr>("plait.arena_bytes"))
      new llvm::GlobalVariable(code, type, /*isConstant=*/true,
                               llvm::GlobalValue::ExternalLinkage,
                               llvm::ConstantInt::get(type, bytes.getInt()),
                               fn.getSymName() + "_arena_bytes");
}

/// The translated module, optimized for `machine`.
static llvm::Expected<std::unique_ptr<llvm::Module>>
optimize(ModuleOp module, llvm::LLVMContext &context,
         llvm::TargetMachine &machine) {
  DialectRegistry registry;
  registerAllToLLVMIRTranslations(registry);
  module.getContext()->appendDialectRegistry(registry);
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context);
  if (!code)
    return llvm::createStringError("cannot be translated to LLVM IR");
  code->setTargetTriple(machine.getTargetTriple());
  code->setDataLayout(machine.createDataLayout());
  outlineLoops(*code);
  nameCpu(*code, machine);
  addArenaSizes(module, *code);
  auto run =
      makeOptimizingTransformer(/*optLevel=*/3, /*sizeLevel=*/0, &machine);
  if (llvm::Error error = run(code.get()))
    return error;
  return code;
}

llvm::Expected<std::string> plait::emitCode(ModuleOp module, StringRef cpu,
                                            CodeFormat format) {
  auto machine = makeTargetMachine(cpu, llvm::Reloc::PIC_);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto code = optimize(module, context, **machine);
  if (!code)
    return code.takeError();
  if (format == CodeFormat::Llvm) {
    std::string text;
    llvm::raw_string_ostream(text) << **code;
    return text;
  }
  llvm::SmallVector<char> bytes;
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(
          passes, os, /*DwoOut=*/nullptr,
          format == CodeFormat::Object ? llvm::CodeGenFileType::ObjectFile
                                       : llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError(
        "LLVM cannot write such a file for this cpu");
  passes.run(**code);
  return std::string(bytes.begin(), bytes.end());
}
