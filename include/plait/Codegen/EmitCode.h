//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Code as text or bytes, for any cpu that LLVM knows: nothing is run.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_CODEGEN_EMITCODE_H
#define PLAIT_CODEGEN_EMITCODE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>

namespace plait {

enum class CodeFormat {
  Llvm,     ///< LLVM IR, optimized
  Assembly, ///< for the cpu's assembler
  Object    ///< position-independent, to be linked with libomp and libm
};

/// Compiles `module`, all of whose ops are in the LLVM dialect, as Jit does.
llvm::Expected<std::string> emitCode(mlir::ModuleOp module, llvm::StringRef cpu,
                                     CodeFormat format);

} // namespace plait

#endif // PLAIT_CODEGEN_EMITCODE_H
