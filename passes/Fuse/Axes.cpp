//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Axes.h"

using namespace mlir;
using namespace plait;

static bool hasKind(ArrayRef<Axis> axes, Axis::Kind kind) {
  return llvm::any_of(axes, [&](Axis axis) { return axis.kind == kind; });
}

Axes plait::axesThrough(AffineMap map, ArrayRef<Axis> loops) {
  Axes axes;
  for (AffineExpr expr : map.getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    axes.push_back(dim ? loops[dim.getPosition()] : Axis());
  }
  return axes;
}

bool plait::isMatrix(ArrayRef<Axis> axes) {
  return hasKind(axes, Axis::Row) && hasKind(axes, Axis::Col);
}

bool plait::isRowStatistic(ArrayRef<Axis> axes, ArrayRef<int64_t> shape) {
  return hasKind(axes, Axis::Row) && !hasKind(axes, Axis::Col) &&
         llvm::all_of(llvm::zip_equal(axes, shape), [](auto dim) {
           auto [axis, extent] = dim;
           return axis.kind != Axis::Whole || extent == 1;
         });
}

bool plait::hasRepeatedAxis(ArrayRef<Axis> axes) {
  for (auto [i, axis] : llvm::enumerate(axes))
    if (axis.kind != Axis::Whole &&
        llvm::is_contained(axes.drop_front(i + 1), axis))
      return true;
  return false;
}

int64_t plait::countBatches(ArrayRef<Axis> axes, ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (auto [axis, extent] : llvm::zip_equal(axes, shape))
    if (axis.kind == Axis::Batch)
      count *= extent;
  return count;
}

FailureOr<Axes>
plait::expandAxes(ArrayRef<Axis> axes, ArrayRef<int64_t> shape,
                  ArrayRef<ReassociationIndices> reassociation) {
  Axes result(shape.size());
  for (auto [axis, group] : llvm::zip_equal(axes, reassociation)) {
    if (axis.kind == Axis::Whole)
      continue;
    int64_t stride = axis.stride, parts = 0;
    for (int64_t dim : llvm::reverse(group)) {
      if (shape[dim] == 1)
        continue;
      result[dim] = {axis.kind, stride};
      stride *= shape[dim];
      ++parts;
    }
    // Rows of two dimensions cannot be taken block by block.
    if (parts > 1 && axis.kind != Axis::Batch)
      return failure();
  }
  return result;
}

FailureOr<Axes>
plait::collapseAxes(ArrayRef<Axis> axes, ArrayRef<int64_t> shape,
                    ArrayRef<ReassociationIndices> reassociation) {
  Axes result;
  for (const ReassociationIndices &group : reassociation) {
    Axis joined;
    int64_t extent = 1;
    for (int64_t dim : llvm::reverse(group)) {
      if (shape[dim] == 1)
        continue;
      if (extent == 1)
        joined = axes[dim];
      else if (joined.kind != axes[dim].kind ||
               (joined.kind != Axis::Batch && joined.kind != Axis::Whole) ||
               axes[dim].stride != joined.stride * extent)
        return failure();
      extent *= shape[dim];
    }
    result.push_back(joined);
  }
  return result;
}
