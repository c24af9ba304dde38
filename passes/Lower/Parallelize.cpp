//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Parallelize: large ops that are not contractions are split among threads by
// their outermost parallel dimension. Contractions are split where they are
// lowered, clusters where they are fused.
//
//===----------------------------------------------------------------------===//

#include "ConvolutionPlan.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINPARALLELIZE
#include "plait/Passes.h.inc"
} // namespace plait

/// The size of a chunk: about a 32nd, and a divisor, so that shapes stay static.
/// It is fixed by the shape, never by the number of threads.
static int64_t chunkSize(int64_t extent) {
  int64_t size = (extent + 31) / 32;
  while (extent % size != 0)
    ++size;
  return size;
}

static void parallelize(RewriterBase &rewriter, linalg::LinalgOp op,
                        int64_t minElements) {
  if (op->getParentOfType<LoopLikeOpInterface>() ||
      linalg::isaContractionOpInterface(op) || op->getNumResults() == 0 ||
      plait::becomesProducts(op) ||
      isa<linalg::FillOp>(op)) // a product's fill folds into its lowering
    return;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  int64_t total = 1;
  for (int64_t range : ranges) {
    if (ShapedType::isDynamic(range))
      return;
    total *= range;
  }
  auto kinds = op.getIteratorTypesArray();
  if (total < minElements || kinds.empty())
    return;
  for (auto [loop, kind] : llvm::enumerate(kinds)) {
    if (kind != utils::IteratorType::parallel || ranges[loop] < 2)
      continue;
    SmallVector<int64_t> sizes(ranges.size(), 0);
    sizes[loop] = chunkSize(ranges[loop]);
    scf::SCFTilingOptions options;
    options.setTileSizes(getAsIndexOpFoldResult(op.getContext(), sizes));
    options.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
    rewriter.setInsertionPoint(op);
    auto tiled = scf::tileUsingSCF(
        rewriter, cast<TilingInterface>(op.getOperation()), options);
    if (succeeded(tiled))
      rewriter.replaceOp(op, tiled->replacements);
    return;
  }
}

namespace {
struct Parallelize : plait::impl::TrainParallelizeBase<Parallelize> {
  using Base::Base;
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops)
      parallelize(rewriter, op, minElements);
  }
};
} // namespace
