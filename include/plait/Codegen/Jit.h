//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Machine code in this process: from a module in the LLVM dialect to function
// pointers.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_CODEGEN_JIT_H
#define PLAIT_CODEGEN_JIT_H

#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

#include <memory>

namespace plait {

/// What to generate code for. An empty cpu is the host, with its features.
struct JitOptions {
  std::string cpu;
};

/// Compiled functions of one module.
class Jit {
public:
  /// Compiles `module`, all of whose ops are in the LLVM dialect, to machine
  /// code: nothing is left for the first call. The error says which cpu is
  /// unknown, or what LLVM refused.
  static llvm::Expected<std::unique_ptr<Jit>> create(mlir::ModuleOp module,
                                                     const JitOptions &options);

  /// Takes the address of each argument. All are pointers to buffers
  /// (docs/ABI.md).
  using Function = void (*)(void **);

  /// The function `name`; null where there is none.
  Function find(llvm::StringRef name) const { return functions.lookup(name); }

private:
  std::unique_ptr<mlir::ExecutionEngine> engine;
  llvm::StringMap<Function> functions;
};

} // namespace plait

#endif // PLAIT_CODEGEN_JIT_H
