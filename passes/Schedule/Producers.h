//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which ops make a gradient tile by tile: shared by both fusion passes. Backward
// puts them behind the last reader of the parameter, forward keeps what they read
// for the next step.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_SCHEDULE_PRODUCERS_H
#define PLAIT_PASSES_SCHEDULE_PRODUCERS_H

#include "plait/Dialect/Train/Train.h"

#include "llvm/ADT/SetVector.h"

#include <string>

namespace plait {

/// `update` and the ops that make its gradients, back to the products or
/// reductions they start from: what can be in one loop nest with the update. Of
/// several gradients, those that cannot be there are stored, and read tile by
/// tile. Fails, and sets `reason`, where that is all of them.
mlir::FailureOr<llvm::SetVector<mlir::Operation *>>
collectProducers(train::UpdateOpInterface update, std::string &reason);

} // namespace plait

#endif // PLAIT_PASSES_SCHEDULE_PRODUCERS_H
