//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What LLVM's code generator calls where a processor has no instruction, and the
// C++ runtime that this library is linked with may not have.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_CODEGEN_BUILTINS_H
#define PLAIT_CODEGEN_BUILTINS_H

#include "llvm/ADT/StringMap.h"

namespace plait {

/// The nearest bfloat16, its bits in the low half of the result.
float truncateToBFloat16(float value);
float truncateToBFloat16(double value);

/// The functions above by the names that generated code calls them by.
llvm::StringMap<void *> builtins();

} // namespace plait

#endif // PLAIT_CODEGEN_BUILTINS_H
