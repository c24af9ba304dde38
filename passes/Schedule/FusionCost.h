//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The cost model: what an update takes in one loop nest with the product that
// makes its gradient, and what it takes apart from it. Both do the same
// arithmetic, and read and write the parameter and its states once. What
// differs:
//
// - Apart, the gradient is stored and read again. Storing it is hidden behind
//   the product, if that takes longer.
// - In one nest, the product is made panel by panel, and packs the operand that
//   a panel does not divide once for each of them.
//
// Whether bytes come from the last-level cache or from memory depends on
// whether all that the step carries on fits there with the gradient.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_SCHEDULE_FUSIONCOST_H
#define PLAIT_PASSES_SCHEDULE_FUSIONCOST_H

#include "plait/Dialect/Train/Train.h"
#include "plait/Target/TargetOptions.h"

namespace plait {

/// Of one core.
struct Estimate {
  double bytes = 0; ///< of the parameter's size and larger, moved
  double milliseconds = 0;
};

struct FusionCost {
  Estimate oneNest, apart;
  bool isInCache; ///< else the rates are those of memory

  /// Whether to leave the gradient out of the nest. It costs memory, the model
  /// is no better than a few percent, and a second loop starts its threads: a
  /// microsecond is no gain.
  bool isBetterApart() const {
    double gain = oneNest.milliseconds - apart.milliseconds;
    return gain > 0.02 * oneNest.milliseconds && gain > 1e-3;
  }
};

/// Bytes of all parameters, states and buffers of `step`.
int64_t carriedBytes(mlir::FunctionOpInterface step);

/// The cost of `update` and of `producers`, the ops that could be in one nest
/// with it, in a step that carries `carried` bytes on. All shapes are static.
FusionCost estimateFusion(train::UpdateOpInterface update,
                          llvm::ArrayRef<mlir::linalg::LinalgOp> producers,
                          int64_t carried, const TargetOptions &target);

} // namespace plait

#endif // PLAIT_PASSES_SCHEDULE_FUSIONCOST_H
