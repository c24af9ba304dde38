//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writing clusters and taking them apart: what the fusion passes share.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_SCHEDULE_CLUSTER_H
#define PLAIT_PASSES_SCHEDULE_CLUSTER_H

#include "plait/Dialect/Train/Train.h"

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/SetVector.h"

namespace plait {

/// An op that only makes a destination: tensor.empty or linalg.fill.
bool isInit(mlir::Operation *op);

/// Values from outside that a cluster of `members` (of one block) would take.
llvm::SetVector<mlir::Value>
collectClusterInputs(llvm::ArrayRef<mlir::Operation *> members);

/// Replaces `members` (of one block, in any order) by a cluster at the position
/// of the last one. Its results are those results of members that are used
/// outside. Inits and constants that members use are cloned into it: an init
/// passed in would be a full-size buffer.
train::ClusterOp wrapIntoCluster(llvm::ArrayRef<mlir::Operation *> members,
                                 train::Placement kind);

/// Replaces a cluster by the ops of its body, and returns those.
llvm::SmallVector<mlir::Operation *> inlineCluster(mlir::RewriterBase &rewriter,
                                                   train::ClusterOp cluster);

} // namespace plait

#endif // PLAIT_PASSES_SCHEDULE_CLUSTER_H
