//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM's description of a cpu, for what generates code.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_LIB_CODEGEN_LLVM_TARGETMACHINE_H
#define PLAIT_LIB_CODEGEN_LLVM_TARGETMACHINE_H

#include "llvm/Support/CodeGen.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>
#include <optional>

namespace plait {

/// For `cpu`, of whichever architecture knows it, the host's first; empty is the
/// host, with its features.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
makeTargetMachine(llvm::StringRef cpu,
                  std::optional<llvm::Reloc::Model> relocation = std::nullopt);

} // namespace plait

#endif // PLAIT_LIB_CODEGEN_LLVM_TARGETMACHINE_H
