//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fuse clusters: one parallel loop nest per cluster.
//
// Backward: the update is the consumer; the loop runs over panels of rows of
// the parameter, and each iteration computes the panel's gradient and applies
// it. Panels of whole rows, because register-sized tiles of a row-major
// parameter make about a hundred interleaved memory streams and lose
// (docs/Performance.md).
//
// Forward: the product is the consumer; the loop runs over panels of the
// parameter's dimension that the product does not contract. The update is a
// fused producer whose value is yielded too: otherwise it would run twice,
// with right numbers. What makes the gradient of a panel, where the cluster has
// it, is fused as well, and not yielded.
//
//===----------------------------------------------------------------------===//

#include "../Divisor.h"
#include "../Panels.h"
#include "../Schedule/Cluster.h"
#include "MergeLoops.h"
#include "OuterProduct.h"

#include "plait/Analysis/Legality.h"
#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINFUSECLUSTERS
#include "plait/Passes.h.inc"
} // namespace plait

LogicalResult plait::decomposeUpdate(RewriterBase &rewriter,
                                     UpdateOpInterface update) {
  rewriter.setInsertionPoint(update);
  Operation *before = update->getPrevNode();
  auto aggregated = cast<linalg::AggregatedOpInterface>(update.getOperation());
  FailureOr<SmallVector<Value>> next = aggregated.decomposeOperation(rewriter);
  if (failed(next))
    return update->emitError("cannot be decomposed into linalg ops");
  // A state of another shape has a loop of its own.
  ArrayRef<int64_t> shape =
      cast<ShapedType>(update.getParam().getType()).getShape();
  SmallVector<linalg::LinalgOp> loops;
  Operation *op = before ? before->getNextNode() : &update->getBlock()->front();
  for (; op != update; op = op->getNextNode())
    if (auto loop = dyn_cast<linalg::LinalgOp>(op);
        loop && loop.getNumLoops() > 0 &&
        loop.getStaticLoopRanges() == llvm::to_vector(shape))
      loops.push_back(loop);
  if (loops.size() > 1 && update.isElementwise())
    mergeLoops(rewriter, loops, *next);
  rewriter.replaceOp(update, *next);
  return success();
}

/// What makes the gradients of `update`, in its cluster.
static SmallVector<linalg::LinalgOp> producersOf(UpdateOpInterface update) {
  SmallVector<linalg::LinalgOp> producers;
  for (auto op : update->getBlock()->getOps<linalg::LinalgOp>())
    if (!isa<linalg::FillOp>(op) && op->isBeforeInBlock(update))
      producers.push_back(op);
  return producers;
}

/// The op of the decomposed update whose first result is the next parameter.
static linalg::LinalgOp findRoot(ClusterOp cluster) {
  Block &body = cluster.getBody().front();
  for (Value value : body.getTerminator()->getOperands())
    if (auto op = value.getDefiningOp<linalg::LinalgOp>())
      if (op.getNumLoops() > 0)
        return op;
  return {};
}

/// Makes equal slices in a loop's body one. An update that reads the old panel
/// and writes the new one is in place only where both are the same value.
static void shareSlices(RewriterBase &rewriter, LoopLikeOpInterface loop) {
  SmallVector<tensor::ExtractSliceOp> seen, slices;
  loop->walk([&](tensor::ExtractSliceOp op) { slices.push_back(op); });
  for (tensor::ExtractSliceOp op : slices) {
    auto *same = llvm::find_if(seen, [&](tensor::ExtractSliceOp other) {
      return other->getBlock() == op->getBlock() &&
             OperationEquivalence::isEquivalentTo(
                 other, op, OperationEquivalence::IgnoreLocations);
    });
    if (same == seen.end())
      seen.push_back(op);
    else
      rewriter.replaceOp(op, *same);
  }
}

/// Inside the loops, the old parameter is read through the argument that the
/// loop carries: a weight decay that reads the outer one would keep it alive,
/// and cost a copy of the whole parameter. Both hold the same where it is read,
/// for no op of a cluster reads other elements than those its panel replaces.
static void readThroughLoop(RewriterBase &rewriter,
                            scf::SCFTileAndFuseResult &result) {
  for (LoopLikeOpInterface loop : result.loops)
    for (auto [init, arg] :
         llvm::zip(loop.getInits(), loop.getRegionIterArgs()))
      rewriter.replaceUsesWithIf(init, arg, [&](OpOperand &use) {
        return loop->isProperAncestor(use.getOwner());
      });
  for (LoopLikeOpInterface loop : result.loops)
    shareSlices(rewriter, loop);
}

/// Replaces what tiling made: results of the root and of yielded producers.
static void replaceFused(RewriterBase &rewriter, Operation *root,
                         scf::SCFTileAndFuseResult &result) {
  Operation *loop = result.loops.front();
  SmallVector<std::pair<Value, Value>> producers;
  for (auto [from, to] : result.replacements)
    if (from.getDefiningOp() != root)
      producers.push_back({from, to});
  for (OpResult value : root->getResults())
    rewriter.replaceAllUsesWith(value, result.replacements.lookup(value));
  rewriter.eraseOp(root);
  // Only uses outside the loop: those inside are the tiles themselves.
  for (auto &[from, to] : producers)
    rewriter.replaceUsesWithIf(from, to, [&](OpOperand &use) {
      return !loop->isProperAncestor(use.getOwner());
    });
  readThroughLoop(rewriter, result);
}

static LogicalResult tileAndFuse(RewriterBase &rewriter, linalg::LinalgOp root,
                                 ArrayRef<int64_t> tileSizes,
                                 bool yieldProducers) {
  scf::SCFTileAndFuseOptions options;
  options.tilingOptions.setTileSizes(
      getAsIndexOpFoldResult(root.getContext(), tileSizes));
  options.tilingOptions.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
  Operation *rootOp = root;
  options.setFusionControlFn(
      [=](tensor::ExtractSliceOp, OpResult producer, bool isDestination)
          -> std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> {
        // A fill of the consumer itself belongs to its loop; producers of rank
        // 0 (bias corrections) are computed once, before it.
        auto op = dyn_cast<linalg::LinalgOp>(producer.getOwner());
        if (!op || op.getNumLoops() == 0)
          return std::nullopt;
        bool isResult = llvm::any_of(
            op->getUsers(), [](Operation *user) { return isa<YieldOp>(user); });
        return scf::SCFTileAndFuseOptions::ControlFnResult{
            yieldProducers && isResult && op != rootOp};
      });
  rewriter.setInsertionPoint(root);
  auto result = scf::tileConsumerAndFuseProducersUsingSCF(
      rewriter, cast<TilingInterface>(root.getOperation()), options);
  if (failed(result))
    return root->emitError("could not be tiled");
  replaceFused(rewriter, root, *result);
  return success();
}

/// Backward: tile the update by rows of the parameter.
static LogicalResult fuseBackwardCluster(RewriterBase &rewriter,
                                         ClusterOp cluster,
                                         int64_t panelBytes) {
  linalg::LinalgOp root = findRoot(cluster);
  if (!root)
    return success(); // a rank-0 parameter: nothing to tile
  auto type = cast<RankedTensorType>(root->getResult(0).getType());
  if (!type.hasStaticShape())
    return cluster.emitError("has a parameter of dynamic shape ") << type;
  SmallVector<int64_t> sizes = panelSizes(type, panelBytes);
  if (llvm::all_of(sizes, [](int64_t size) { return size == 0; }))
    return success(); // one element
  return tileAndFuse(rewriter, root, sizes, /*yieldProducers=*/false);
}

/// Forward: tile the product by the loop that indexes the parameter and the
/// result, so that each panel of the parameter is updated exactly once.
static LogicalResult fuseForwardCluster(RewriterBase &rewriter,
                                        ClusterOp cluster, int64_t panelBytes) {
  linalg::LinalgOp update = findRoot(cluster), product;
  if (!update)
    return cluster.emitError("has no loop that makes a new parameter");
  for (Operation *user : update->getUsers()) {
    auto op = dyn_cast<linalg::LinalgOp>(user);
    if (op && product && op != product)
      return cluster.emitError("has two ops that read the new parameter");
    product = op ? op : product;
  }
  if (!product)
    return cluster.emitError("has no product that reads the new parameter");
  std::string reason;
  FailureOr<PanelLoop> panel =
      findPanelLoop(product, cast<OpResult>(update->getResult(0)), reason);
  if (failed(panel))
    return cluster.emitError("has a product that ") << reason;
  auto type = cast<RankedTensorType>(update->getResult(0).getType());
  if (!type.hasStaticShape())
    return cluster.emitError("has a parameter of dynamic shape ") << type;
  int64_t rows = type.getDimSize(panel->dim);
  int64_t rowBytes = type.getNumElements() / rows * elementBytes(type);
  SmallVector<int64_t> sizes(product.getNumLoops(), 0);
  sizes[panel->loop] =
      largestDivisor(rows, std::min(panelBytes / rowBytes, rows / 2));
  return tileAndFuse(rewriter, product, sizes, /*yieldProducers=*/true);
}

/// Tiles of nothing have no size.
static LogicalResult checkNotEmpty(ClusterOp cluster) {
  for (Type type : cluster->getOperandTypes())
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        tensor && tensor.hasStaticShape() && tensor.getNumElements() == 0)
      return cluster.emitError("takes ")
             << type << ", which has no elements; leave it out of the step";
  return success();
}

LogicalResult plait::fuseCluster(RewriterBase &rewriter, ClusterOp cluster,
                                 int64_t panelBytes) {
  if (failed(checkNotEmpty(cluster)))
    return failure();
  SmallVector<UpdateOpInterface> updates;
  cluster.walk([&](UpdateOpInterface update) { updates.push_back(update); });
  bool backward = cluster.getKind() == Placement::Backward;
  if (!updates.empty())
    panelBytes = choosePanelBytes(
        producersOf(updates.front()),
        cast<RankedTensorType>(updates.front().getParam().getType()),
        panelBytes);
  for (UpdateOpInterface update : updates)
    if (failed(decomposeUpdate(rewriter, update)))
      return failure();
  if (failed(backward ? fuseBackwardCluster(rewriter, cluster, panelBytes)
                      : fuseForwardCluster(rewriter, cluster, panelBytes)))
    return failure();
  foldOuterProducts(rewriter, cluster);
  inlineCluster(rewriter, cluster);
  return success();
}

namespace {
struct FuseClusters : plait::impl::TrainFuseClustersBase<FuseClusters> {
  using Base::Base;
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<ClusterOp> clusters;
    getOperation()->walk([&](ClusterOp op) { clusters.push_back(op); });
    for (ClusterOp cluster : clusters)
      if (failed(fuseCluster(rewriter, cluster, panelBytes)))
        return signalPassFailure();
    SmallVector<UpdateOpInterface> updates;
    getOperation()->walk([&](UpdateOpInterface op) { updates.push_back(op); });
    for (UpdateOpInterface update : updates)
      if (failed(decomposeUpdate(rewriter, update)))
        return signalPassFailure();
  }
};
} // namespace
