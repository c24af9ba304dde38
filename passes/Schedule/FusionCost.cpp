//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The cost model. Bytes are counted as the processor moves them: what is
// written without having been read is read first.
//
//===----------------------------------------------------------------------===//

#include "FusionCost.h"
#include "../Panels.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

static int64_t bytesOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape()
             ? tensor.getNumElements() * elementBytes(tensor)
             : 0;
}

int64_t plait::carriedBytes(FunctionOpInterface step) {
  int64_t total = 0;
  for (auto [index, type] : llvm::enumerate(step.getArgumentTypes()))
    if (isa_and_nonnull<ParamAttr, StateAttr>(getArgRole(step, index)))
      total += bytesOf(type);
  return total;
}

static double countFlops(linalg::LinalgOp op) {
  double iterations = 1;
  for (int64_t extent : op.getStaticLoopRanges())
    iterations *= extent;
  return iterations * (op.getNumReductionLoops() ? 2 : 1);
}

/// Bytes of the operands of `product` that rows of its result do not divide:
/// each of its pieces packs them anew. Only products of f32 pack anything.
static int64_t packedBytes(linalg::LinalgOp product) {
  if (!linalg::isaContractionOpInterface(product))
    return 0;
  AffineMap result =
      product.getMatchingIndexingMap(product.getDpsInitOperand(0));
  if (result.getNumResults() == 0)
    return 0;
  auto rows = dyn_cast<AffineDimExpr>(result.getResult(0));
  int64_t total = 0;
  for (OpOperand *input : product.getDpsInputOperands()) {
    auto type = dyn_cast<RankedTensorType>(input->get().getType());
    AffineMap map = product.getMatchingIndexingMap(input);
    if (rows && type && type.getElementType().isF32() &&
        !map.isFunctionOfDim(rows.getPosition()))
      total += bytesOf(type);
  }
  return total;
}

/// How many pieces of rows a whole product is made in: about eight tasks, of
/// 256 lanes and at least 96 rows (see ContractionPlan.cpp).
static int64_t countTasks(RankedTensorType type) {
  if (type.getRank() < 2)
    return 1;
  int64_t rows = type.getDimSize(0), lanes = type.getNumElements() / rows;
  return std::min(llvm::divideCeil(rows, 96),
                  llvm::divideCeil(8, llvm::divideCeil(lanes, 256)));
}

static int64_t countPanels(RankedTensorType type, int64_t panelBytes) {
  int64_t count = 1;
  for (auto [extent, size] :
       llvm::zip(type.getShape(), panelSizes(type, panelBytes)))
    count *= size == 0 ? 1 : extent / size;
  return count;
}

/// What the update moves beside the gradients that `producers` make.
static double countUpdateBytes(UpdateOpInterface update,
                               ArrayRef<linalg::LinalgOp> producers) {
  double bytes = 0;
  for (Value input : update.getDpsInputs())
    if (!llvm::is_contained(producers, input.getDefiningOp()))
      bytes += bytesOf(input.getType());
  for (Value old : update.getDpsInits())
    bytes += 2 * bytesOf(old.getType());
  return bytes;
}

FusionCost plait::estimateFusion(UpdateOpInterface update,
                                 ArrayRef<linalg::LinalgOp> producers,
                                 int64_t carried, const TargetOptions &target) {
  auto type = cast<RankedTensorType>(update.getParam().getType());
  double flops = 0, packed = 0, gradient = 0;
  for (linalg::LinalgOp op : producers) {
    flops += countFlops(op);
    packed += packedBytes(op);
    // What other producers read stays in registers.
    if (llvm::is_contained(op->getUsers(), update))
      gradient += bytesOf(op->getResult(0).getType());
  }
  const CostConstants &machine = target.cost;
  FusionCost cost;
  cost.isInCache = carried + gradient <= machine.cacheBytes;
  // Bytes a millisecond are GB/s times a million.
  double rate = 1e6 * (cost.isInCache ? machine.cacheGBs : machine.memoryGBs);
  double product = flops / (1e6 * machine.coreGflops);
  double own = countUpdateBytes(update, producers);
  auto packing = [&](int64_t pieces) {
    return 2 * packed * pieces / (1e6 * machine.cacheGBs);
  };
  double stored = 2 * gradient, readAgain = gradient;
  cost.apart.bytes = own + stored + readAgain;
  cost.apart.milliseconds = std::max(product, stored / rate) +
                            packing(countTasks(type)) +
                            (own + readAgain) / rate;
  int64_t panels =
      countPanels(type, choosePanelBytes(producers, type, target.panelBytes));
  cost.oneNest.bytes = own;
  cost.oneNest.milliseconds = product + packing(panels) + own / rate;
  return cost;
}
