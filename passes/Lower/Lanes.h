//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_LANES_H
#define PLAIT_PASSES_LOWER_LANES_H

#include "mlir/IR/Builders.h"

namespace plait {

/// One value of all lanes of the vector `lanes`, of which there are a power of
/// two: it is halved, and `combine` joins the halves, until one lane is left. The
/// order is fixed, which that of `vector.reduction` is not.
mlir::Value
halveLanes(mlir::OpBuilder &b, mlir::Location loc, mlir::Value lanes,
           llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);

/// The sum of all lanes.
mlir::Value addLanes(mlir::OpBuilder &b, mlir::Location loc, mlir::Value lanes);

/// The sums of all lanes of each of `vectors`, as one vector. There are a power
/// of two of them, at most as many as lanes; each is added as by `addLanes`, but
/// halves of several in one operation.
mlir::Value addLanesOfEach(mlir::OpBuilder &b, mlir::Location loc,
                           llvm::ArrayRef<mlir::Value> vectors);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_LANES_H
