//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mark dots: which products are dot products, decided while they are whole.
// A dot product adds in another order than a register tile does. If that were
// decided when loops are written, a panel of a fused product could add in
// another order than the whole product does, and schedules would differ.
//
//===----------------------------------------------------------------------===//

#include "DotEmitter.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINMARKDOTS
#include "plait/Passes.h.inc"
} // namespace plait

/// Few rows, many lanes, and both operands contiguous along a long k.
static bool isDot(linalg::LinalgOp op) {
  constexpr int64_t kFew = 8, kMany = 32, kMinSteps = 64;
  if (!isContractionCandidate(op) || op.getNumReductionLoops() != 1)
    return false;
  auto ranges = op.getStaticLoopRanges();
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  unsigned k = reductions.front();
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<ShapedType>(operand.get().getType());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (!type || !type.hasStaticShape() || !type.getElementType().isF32() ||
        !map.isProjectedPermutation())
      return false;
    bool readsAlongK = map.getNumResults() > 0 &&
                       map.getResults().back() ==
                           getAffineDimExpr(k, op.getContext());
    if (op.isDpsInput(&operand) && !readsAlongK)
      return false;
  }
  int64_t rows = 1, lanes = 1;
  for (auto [loop, extent] : llvm::enumerate(ranges)) {
    if (loop == k)
      continue;
    bool inRows = maps[0].isFunctionOfDim(loop);
    if (inRows == maps[1].isFunctionOfDim(loop))
      return false; // a batch
    (inRows ? rows : lanes) *= extent;
  }
  return op.getNumLoops() <= 3 && ranges[k] >= kMinSteps &&
         std::min(rows, lanes) <= kFew && std::max(rows, lanes) >= kMany;
}

namespace {
struct MarkDots : plait::impl::TrainMarkDotsBase<MarkDots> {
  void runOnOperation() override {
    getOperation()->walk([](linalg::LinalgOp op) {
      if (isDot(op))
        op->setAttr(kDotAttr, UnitAttr::get(op.getContext()));
    });
  }
};
} // namespace
