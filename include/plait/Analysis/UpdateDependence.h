//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// UpdateDependence: where in its function may an update run?
//
// It answers and never rewrites. For each result of an update (the parameter
// and each state apart) it gives a window [earliest, latest] of positions in
// the update's block, and the op and reason that bound each end:
//
// - earliest: after every op that defines an operand, and after the last
//   reader of the old value that this result replaces. An update before such a
//   reader would not fail; bufferization would quietly give the new value a
//   fresh buffer, and the point of the exercise would be lost.
// - latest: before the first use of the result.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_ANALYSIS_UPDATEDEPENDENCE_H
#define PLAIT_ANALYSIS_UPDATEDEPENDENCE_H

#include "plait/Dialect/Train/Train.h"

#include "mlir/Pass/AnalysisManager.h"
#include "llvm/ADT/DenseMap.h"

#include <string>

namespace plait {

/// Why an end of a window stands where it stands.
enum class BoundReason {
  BlockStart, ///< nothing bounds it: the start of the block
  Operand,    ///< the op defines an operand of the update
  OldReader,  ///< the op reads the old value
  FirstUse,   ///< the op uses the new value
  OldEscapes, ///< the block's terminator still passes the old value on
};

/// One end of a window: the op (null: the block's start) and the reason.
struct Bound {
  mlir::Operation *op = nullptr;
  BoundReason reason = BoundReason::BlockStart;
};

/// Where one result of an update may be computed: after `earliest.op`, before
/// `latest.op`, both in the update's block.
struct UpdateWindow {
  Bound earliest;
  Bound latest;
  /// False where no position is left.
  bool isLegal() const;
};

/// Windows of all updates directly or indirectly in an op.
class UpdateDependence {
public:
  explicit UpdateDependence(mlir::Operation *root);

  /// The updates, in program order.
  mlir::ArrayRef<train::UpdateOpInterface> getUpdates() const {
    return updates;
  }
  /// The window of result `index`.
  const UpdateWindow &getWindow(train::UpdateOpInterface update,
                                unsigned index) const {
    return windows.find(update)->second[index];
  }
  /// The window of the update as a whole: the meet of its results' windows.
  UpdateWindow getWindow(train::UpdateOpInterface update) const;

  /// Names of the parameters whose gradients `update` waits for beside its
  /// own: what a global norm or an all-finite flag makes it depend on.
  llvm::SmallVector<llvm::StringRef>
  getOtherGradients(train::UpdateOpInterface update) const;

  /// One sentence on what bounds the start of `update`, for remarks.
  std::string explain(train::UpdateOpInterface update) const;

  void print(llvm::raw_ostream &os) const;

  bool isInvalidated(const mlir::AnalysisManager::PreservedAnalyses &pa) {
    return !pa.isPreserved<UpdateDependence>();
  }

private:
  llvm::SmallVector<train::UpdateOpInterface> updates;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<UpdateWindow>> windows;
};

} // namespace plait

#endif // PLAIT_ANALYSIS_UPDATEDEPENDENCE_H
