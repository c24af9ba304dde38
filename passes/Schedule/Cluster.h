//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writing clusters: what both fusion passes share.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_SCHEDULE_CLUSTER_H
#define PLAIT_PASSES_SCHEDULE_CLUSTER_H

#include "plait/Dialect/Train/Train.h"

namespace plait {

/// An op that only makes a destination: tensor.empty or linalg.fill.
bool isInit(mlir::Operation *op);

/// Replaces `members` (of one block, in any order) by a cluster at the position
/// of the last one. Its results are those results of members that are used
/// outside. Inits and constants that members use are cloned into it: an init
/// passed in would be a full-size buffer.
train::ClusterOp wrapIntoCluster(llvm::ArrayRef<mlir::Operation *> members,
                                 train::Placement kind);

} // namespace plait

#endif // PLAIT_PASSES_SCHEDULE_CLUSTER_H
