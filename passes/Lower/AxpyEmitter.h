//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products with few rows as sums of the other operand's rows.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_AXPYEMITTER_H
#define PLAIT_PASSES_LOWER_AXPYEMITTER_H

#include "ContractionPlan.h"

namespace plait {

/// Emits the loops of `contraction` at the insertion point of `builder`. It has
/// few rows and no batch loops; its accumulator and its lane operand are
/// contiguous along the lanes. Each element is one chain of fused
/// multiply-adds, as in a register tile.
void emitAxpys(mlir::OpBuilder &builder, mlir::Location loc,
               const Contraction &contraction, const ContractionTarget &target);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_AXPYEMITTER_H
