//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Panels: the part of a parameter that one iteration of a cluster's loop nest
// replaces. Asked by the pass that makes the loops, and before, by the model
// of what they cost.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_PANELS_H
#define PLAIT_PASSES_PANELS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace plait {

int64_t elementBytes(mlir::RankedTensorType type);

/// Extents of a panel of `type`, 0 for whole dimensions: as many rows as fit
/// into `panelBytes`, or, where not even one does, a part of one. A divisor, so
/// that every panel has the same static shape, and at least two panels so that
/// threads share.
llvm::SmallVector<int64_t> panelSizes(mlir::RankedTensorType type,
                                      int64_t panelBytes);

/// Bytes for a panel of `type`, whose gradient `producers` make: more than
/// `panelBytes` where a product of many rows makes it. The product copies its
/// lanes once for a panel, and for a panel of 16 rows that costs as much as to
/// multiply. Panels stay contiguous: updates of parts of rows are slower than
/// what the copies cost. They stay many, so that threads can share.
int64_t choosePanelBytes(llvm::ArrayRef<mlir::linalg::LinalgOp> producers,
                         mlir::RankedTensorType type, int64_t panelBytes);

} // namespace plait

#endif // PLAIT_PASSES_PANELS_H
