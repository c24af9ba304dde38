//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Neighbouring loops over memory without gaps become one loop. The innermost
// one is what vectors are made of: for a 512x512x3x3 filter it had 3 iterations.
//
// It runs on buffers, when every product is a loop already: nothing looks at
// the number of loops any more, and no reshape of a tensor is in the way.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINCOLLAPSELOOPS
#include "plait/Passes.h.inc"
} // namespace plait

/// Whether the dimensions of `op`'s operands that belong to `loops` lie in
/// memory as one.
static bool areCollapsible(linalg::GenericOp op,
                           ReassociationIndicesRef loops) {
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type)
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    SmallVector<ReassociationIndices> groups;
    for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
      unsigned loop = cast<AffineDimExpr>(expr).getPosition();
      bool joins = loop != unsigned(loops.front()) &&
                   llvm::is_contained(loops, int64_t(loop));
      if (!joins)
        groups.emplace_back();
      groups.back().push_back(dim);
    }
    if (!memref::CollapseShapeOp::isGuaranteedCollapsible(type, groups))
      return false;
  }
  return true;
}

/// The loops that may be one, from the outermost on; single ones are left out.
static SmallVector<ReassociationIndices> findGroups(linalg::GenericOp op) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  auto kinds = op.getIteratorTypesArray();
  SmallVector<ReassociationIndices> groups;
  ReassociationIndices group;
  auto close = [&] {
    if (group.size() > 1)
      groups.push_back(group);
    group.clear();
  };
  for (int64_t loop = 0; loop < int64_t(kinds.size()); ++loop) {
    ReassociationIndices longer = group;
    longer.push_back(loop);
    bool joins = !group.empty() && kinds[loop] == kinds[group.back()] &&
                 linalg::areDimSequencesPreserved(maps, {longer}) &&
                 areCollapsible(op, longer);
    if (!joins)
      close();
    group.push_back(loop);
  }
  close();
  return groups;
}

/// The op without loops of one iteration, whose dimensions would be in the way.
static linalg::GenericOp dropUnitLoops(RewriterBase &rewriter,
                                       linalg::GenericOp op) {
  linalg::ControlDropUnitDims options;
  options.rankReductionStrategy =
      linalg::ControlDropUnitDims::RankReductionStrategy::ExtractInsertSlice;
  rewriter.setInsertionPoint(op);
  auto dropped = linalg::dropUnitDims(rewriter, op, options);
  if (failed(dropped))
    return op;
  rewriter.replaceOp(op, dropped->replacements);
  return cast<linalg::GenericOp>(dropped->resultOp.getOperation());
}

static void collapseLoops(RewriterBase &rewriter, linalg::LinalgOp op) {
  rewriter.setInsertionPoint(op);
  auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
  if (!generic) {
    auto general = linalg::generalizeNamedOp(rewriter, op);
    if (failed(general))
      return;
    generic = *general;
  }
  // An index is one of the loops that were there.
  if (generic.hasIndexSemantics())
    return;
  generic = dropUnitLoops(rewriter, generic);
  if (!llvm::all_of(generic.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isProjectedPermutation(); }))
    return;
  SmallVector<ReassociationIndices> groups = findGroups(generic);
  if (groups.empty())
    return;
  rewriter.setInsertionPoint(generic);
  if (succeeded(linalg::collapseOpIterationDims(generic, groups, rewriter)))
    rewriter.eraseOp(generic);
}

namespace {
struct CollapseLoops : plait::impl::TrainCollapseLoopsBase<CollapseLoops> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (op.hasPureBufferSemantics())
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : ops)
      collapseLoops(rewriter, op);
  }
};
} // namespace
