//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Outline loops: a long function becomes many short ones, and equal ones are
// compiled once.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_CODEGEN_OUTLINELOOPS_H
#define PLAIT_CODEGEN_OUTLINELOOPS_H

namespace llvm {
class Module;
}

namespace plait {

/// Makes each outermost loop of a function with many of them a function, and of
/// equal functions one.
void outlineLoops(llvm::Module &module);

} // namespace plait

#endif // PLAIT_CODEGEN_OUTLINELOOPS_H
