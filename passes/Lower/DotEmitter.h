//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products with few rows as dot products.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_DOTEMITTER_H
#define PLAIT_PASSES_LOWER_DOTEMITTER_H

#include "ContractionPlan.h"

namespace plait {

/// The attribute of a product that `train-mark-skinny` chose: in blocks of how
/// many steps its sums are made.
inline constexpr llvm::StringLiteral kDotAttr = "plait.dot";

/// Emits the loops of `contraction`, which has no batch loops and whose
/// operands are both contiguous along k, at the insertion point of `builder`.
/// `isNested`: inside a parallel loop.
void emitDots(mlir::OpBuilder &builder, mlir::Location loc,
              Contraction contraction, const ContractionTarget &target,
              int64_t blockSteps, bool isNested);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_DOTEMITTER_H
