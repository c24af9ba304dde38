//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products whose reduction is divided into parts.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_SPLITEMITTER_H
#define PLAIT_PASSES_LOWER_SPLITEMITTER_H

#include "ContractionPlan.h"

namespace plait {

/// The attribute of a product that `train-mark-skinny` chose: the number of
/// parts, which divides the number of steps.
inline constexpr llvm::StringLiteral kSplitAttr = "plait.split_k";

/// Emits the loops of `contraction`, which has no batch loops and whose
/// accumulator and weight lie along the same loop, at the insertion point of
/// `builder`. `isNested`: inside a parallel loop.
void emitSplit(mlir::OpBuilder &builder, mlir::Location loc,
               Contraction contraction, const ContractionTarget &target,
               int64_t parts, bool isNested);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_SPLITEMITTER_H
