//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Replacement: an update, or a cluster with one, replaces values. Who reads them
// behind it needs a copy of the old ones.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_ANALYSIS_REPLACEMENT_H
#define PLAIT_ANALYSIS_REPLACEMENT_H

#include "mlir/IR/Operation.h"

namespace plait {

/// The values of its own block that `op` replaces: the destinations of an
/// update, or of the updates in a cluster. Empty for any other op.
llvm::SmallVector<mlir::Value> getReplacedValues(mlir::Operation *op);

/// The first op behind `reader` and before `end`, both of one block, that
/// replaces what `reader` reads: `reader` must not be moved to `end` then. Null
/// if there is none.
mlir::Operation *findReplacement(mlir::Operation *reader, mlir::Operation *end);

/// The last op of its block behind `op` that reads a value which `op` replaces,
/// or an alias of one. What the block ends in does not count. Null if there is
/// none.
mlir::Operation *findLateReader(mlir::Operation *op);

} // namespace plait

#endif // PLAIT_ANALYSIS_REPLACEMENT_H
