//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Panels: sizes from shapes alone, never from the number of threads.
//
//===----------------------------------------------------------------------===//

#include "Panels.h"
#include "Divisor.h"

using namespace mlir;
using namespace plait;

int64_t plait::elementBytes(RankedTensorType type) {
  return llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

SmallVector<int64_t> plait::panelSizes(RankedTensorType type,
                                       int64_t panelBytes) {
  SmallVector<int64_t> sizes(type.getRank(), 0);
  int64_t bytes = type.getNumElements() * elementBytes(type);
  for (auto [dim, extent] : llvm::enumerate(type.getShape())) {
    bytes /= extent;
    if (extent == 1)
      continue;
    sizes[dim] =
        largestDivisor(extent, std::min(panelBytes / bytes, extent / 2));
    if (bytes <= panelBytes)
      break;
  }
  return sizes;
}

static int64_t countSteps(linalg::LinalgOp op) {
  int64_t count = 1;
  for (auto [kind, extent] :
       llvm::zip(op.getIteratorTypesArray(), op.getStaticLoopRanges()))
    if (kind == utils::IteratorType::reduction)
      count *= extent;
  return count;
}

int64_t plait::choosePanelBytes(ArrayRef<linalg::LinalgOp> producers,
                                RankedTensorType type, int64_t panelBytes) {
  constexpr int64_t kFewSteps = 8, kPanels = 32, kLarger = 4;
  // Each producer has a panel on the stack; and of a weight in blocks, nothing
  // is copied for a panel.
  if (producers.size() != 1 || type.getRank() == 3)
    return panelBytes;
  linalg::LinalgOp product = producers.front();
  if (!linalg::isaContractionOpInterface(product) ||
      product.hasDynamicShape() || countSteps(product) <= kFewSteps)
    return panelBytes;
  int64_t bytes = type.getNumElements() * elementBytes(type);
  return std::clamp(bytes / kPanels, panelBytes, kLarger * panelBytes);
}
