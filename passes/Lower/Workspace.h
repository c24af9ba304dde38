//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Buffers on the stack for what products copy or add up on the way.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_WORKSPACE_H
#define PLAIT_PASSES_LOWER_WORKSPACE_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace plait {

/// Whether an op in `block` runs in one of several threads already.
bool isInParallelLoop(mlir::Block *block);

/// A stack buffer of at least `size` f32, one for each thread around the
/// insertion point. Products of one function or loop body run one after the
/// other, so those with the same `role` share it.
mlir::Value getWorkspace(mlir::OpBuilder &builder, mlir::Location loc,
                         llvm::StringRef role, int64_t size);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_WORKSPACE_H
