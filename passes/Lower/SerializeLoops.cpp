//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Serialize loops: a parallel loop with little to do becomes an ordinary one.
// Waking threads and waiting for them takes longer than the update of a bias,
// and a network has many of those.
//
// It runs on buffers: as tensors, the loops of a cluster are parallel so that
// bufferization sees that their slices are disjoint.
//
//===----------------------------------------------------------------------===//

#include "ContractionPlan.h"
#include "Work.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINSERIALIZELOOPS
#include "plait/Passes.h.inc"
} // namespace plait

/// Elements of all structured ops and copies in all iterations of `loop`, a few products
/// for one; nothing where a count is not known.
static std::optional<int64_t> countElements(scf::ForallOp loop) {
  int64_t times = 1, elements = 0, products = 0;
  for (auto [low, high, step] :
       llvm::zip(loop.getMixedLowerBound(), loop.getMixedUpperBound(),
                 loop.getMixedStep())) {
    auto trip = constantTripCount(low, high, step, /*isSigned=*/true,
                                  scf::computeUbMinusLb);
    if (!trip)
      return std::nullopt;
    times *= trip->getSExtValue();
  }
  WalkResult result = loop.getBody()->walk([&](Operation *op) {
    if (isa<LoopLikeOpInterface>(op))
      return WalkResult::interrupt();
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      auto type = cast<MemRefType>(copy.getSource().getType());
      if (!type.hasStaticShape())
        return WalkResult::interrupt();
      elements += type.getNumElements();
      return WalkResult::advance();
    }
    auto structured = dyn_cast<linalg::LinalgOp>(op);
    // A product's fill folds into its lowering.
    if (!structured || isa<linalg::FillOp>(op))
      return WalkResult::advance();
    int64_t inner = 1;
    for (int64_t range : structured.getStaticLoopRanges()) {
      if (ShapedType::isDynamic(range))
        return WalkResult::interrupt();
      inner *= range;
    }
    if (plait::isContractionCandidate(structured))
      products += inner;
    else
      elements += inner;
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return std::nullopt;
  return times * (elements + products / plait::kProductsPerElement);
}

namespace {
struct SerializeLoops : plait::impl::TrainSerializeLoopsBase<SerializeLoops> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<scf::ForallOp> small;
    getOperation()->walk([&](scf::ForallOp loop) {
      std::optional<int64_t> elements = countElements(loop);
      if (loop.getNumResults() == 0 && elements && *elements < minElements)
        small.push_back(loop);
    });
    IRRewriter rewriter(&getContext());
    for (scf::ForallOp loop : small) {
      rewriter.setInsertionPoint(loop);
      if (failed(scf::forallToForLoop(rewriter, loop)))
        return signalPassFailure();
    }
  }
};
} // namespace
