//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decides which convolutions become products of tiles, and of which tiles. Like
// ContractionPlan it creates no IR, and nothing decided here changes a bit of
// the result.
//
//===----------------------------------------------------------------------===//

#include "ConvolutionPlan.h"
#include "../Divisor.h"
#include "ContractionPlan.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace plait;

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<unsigned>> plait::loopsOf(AffineMap map) {
  SmallVector<unsigned> loops;
  for (AffineExpr expr : map.getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim)
      return failure();
    loops.push_back(dim.getPosition());
  }
  return loops;
}

LogicalResult plait::isStaticMultiplyAdd(linalg::LinalgOp op,
                                         StringRef &reason) {
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<ShapedType>(operand.getType());
    if (!type || !type.getElementType().isF32()) {
      reason = "the element type is not f32";
      return failure();
    }
    if (!type.hasStaticShape() || type.getNumElements() == 0) {
      reason = "a shape is dynamic or empty";
      return failure();
    }
  }
  reason = "it does not multiply two operands and add";
  return success(isContractionCandidate(op));
}

/// Finds the roles of the loops, or says why they have none.
static FailureOr<Convolution> matchConvolution(linalg::LinalgOp op,
                                               StringRef &reason) {
  auto fail = [&](StringRef why) {
    reason = why;
    return failure();
  };
  if (failed(isStaticMultiplyAdd(op, reason)))
    return failure();
  auto dims = *linalg::inferConvolutionDims(op);
  if (dims.outputChannel.size() != 1)
    return fail("it has not one output channel loop, as a depthwise one");
  // Copies to columns would cost more than the products.
  constexpr int64_t kFewChannels = 8;
  if (!dims.depth.empty() &&
      op.getStaticLoopRanges()[dims.outputChannel.front()] <= kFewChannels)
    return fail("its groups have few channels");
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  auto filter = loopsOf(maps[1]), output = loopsOf(maps[2]);
  if (failed(filter) || failed(output))
    return fail("the filter or the output is not indexed by loops");

  Convolution result;
  llvm::append_range(result.groups, dims.depth);
  llvm::append_range(result.pixels, dims.outputImage);
  result.channel = dims.outputChannel.front();
  for (unsigned loop : *output)
    if (loop != result.channel && !llvm::is_contained(dims.depth, loop))
      result.places.push_back(loop);
  ArrayRef<unsigned> rest = *filter;
  while (!rest.empty() && llvm::is_contained(dims.depth, rest.front()))
    rest = rest.drop_front();
  if (rest.empty() ||
      (rest.front() != result.channel && rest.back() != result.channel))
    return fail("the output channels are in the middle of the filter");
  for (unsigned loop : rest)
    if (llvm::is_contained(dims.depth, loop))
      return fail("the groups are not the first dimension of the filter");
    else if (loop != result.channel)
      result.steps.push_back(loop);
  return result;
}

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

/// Takes as many iterations of `loops` as fit into `room`, from the innermost
/// loop on: what is taken is contiguous. Returns how many.
static int64_t takeInner(ArrayRef<unsigned> loops, ArrayRef<int64_t> extents,
                         int64_t room, SmallVectorImpl<int64_t> &tile) {
  int64_t taken = 1;
  for (unsigned loop : llvm::reverse(loops)) {
    tile[loop] = largestDivisor(extents[loop], room / taken);
    taken *= tile[loop];
    if (tile[loop] != extents[loop])
      room = 0;
  }
  return taken;
}

/// How many elements of the input lie one behind the other where `loop` runs.
static int64_t runLength(AffineMap input, unsigned loop, int64_t extent) {
  AffineExpr last = input.getResults().back();
  // The difference between two iterations.
  auto context = input.getContext();
  AffineExpr next = last.replace(getAffineDimExpr(loop, context),
                                 getAffineDimExpr(loop, context) + 1);
  auto step = dyn_cast<AffineConstantExpr>(
      simplifyAffineExpr(next - last, input.getNumDims(), 0));
  return step && step.getValue() == 1 ? extent : 1;
}

/// Chooses the sizes. They are divisors, and functions of the shape alone.
/// Fails if no product is left: one has at least two rows, lanes and steps.
static LogicalResult plan(Convolution &conv, linalg::LinalgOp op,
                          StringRef &reason) {
  // Wide enough for products at full speed, without a second image where one is
  // enough; columns in the second cache, or shared, in the last one.
  constexpr int64_t kPlaces = 512, kEnough = 128, kMinTiles = 8;
  constexpr int64_t kColumns = 1 << 17, kSharedColumns = 1 << 20;
  constexpr int64_t kOutput = 1 << 18;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  conv.tile.assign(extents.size(), 1);
  conv.tile[conv.channel] = extents[conv.channel];
  int64_t total = 1;
  for (ArrayRef<unsigned> loops : {conv.groups, conv.places})
    for (unsigned loop : loops)
      total *= extents[loop];
  conv.isShared = conv.groups.empty() && total < kMinTiles * kPlaces;
  int64_t pixels = 1;
  for (unsigned loop : conv.pixels)
    pixels *= extents[loop];
  auto output = dyn_cast<MemRefType>(op->getOperand(2).getType());
  bool hasGaps = output && !output.getLayout().isIdentity();
  int64_t room = pixels >= kEnough ? std::min(pixels, kPlaces) : kPlaces;
  if (conv.isShared)
    room = total;
  else if (pixels < kEnough || hasGaps) // an output of its own is on the stack
    room = std::min(room, kOutput / extents[conv.channel]);
  int64_t places = takeInner(conv.places, extents, room, conv.tile);
  int64_t columns = conv.isShared ? kSharedColumns : kColumns;
  int64_t steps = takeInner(conv.steps, extents, columns / places, conv.tile);
  AffineMap input = op.getIndexingMapsArray()[0];
  unsigned place = conv.places.back(), step = conv.steps.back();
  conv.placesInner = runLength(input, place, conv.tile[place]) >=
                     runLength(input, step, conv.tile[step]);
  reason = "a product of it would have one row or column";
  return success(places > 1 && steps > 1 && conv.tile[conv.channel] > 1);
}

FailureOr<Convolution> plait::planConvolution(linalg::LinalgOp op,
                                              StringRef &reason) {
  FailureOr<Convolution> conv = matchConvolution(op, reason);
  if (failed(conv) || failed(plan(*conv, op, reason)))
    return failure();
  return conv;
}

bool plait::becomesProducts(linalg::LinalgOp op) {
  StringRef reason;
  return linalg::isaConvolutionOpInterface(op) &&
         succeeded(planConvolution(op, reason));
}

bool plait::takesEpilogue(linalg::LinalgOp op) {
  StringRef reason;
  return linalg::isaConvolutionOpInterface(op) &&
         succeeded(isStaticMultiplyAdd(op, reason)) &&
         op.getIndexingMapsArray()[2].isProjectedPermutation();
}

//===----------------------------------------------------------------------===//
// First values
//===----------------------------------------------------------------------===//

bool plait::givesFirstValues(linalg::LinalgOp op) {
  if (op.getNumDpsInits() != 1 || op.hasDynamicShape() ||
      op.getNumParallelLoops() != op.getNumLoops())
    return false;
  OpOperand *output = op.getDpsInitOperand(0);
  return op.getMatchingIndexingMap(output).isIdentity() &&
         !op.payloadUsesValueFromOperand(output);
}

linalg::LinalgOp plait::findFirstValues(linalg::LinalgOp conv) {
  Operation *prev = conv->getPrevNode();
  while (prev && (isMemoryEffectFree(prev) || isa<memref::AllocOp>(prev)))
    prev = prev->getPrevNode();
  auto op = dyn_cast_or_null<linalg::LinalgOp>(prev);
  bool isFound = op && op.hasPureBufferSemantics() && givesFirstValues(op) &&
                 op.getDpsInits()[0] == conv.getDpsInits()[0];
  return isFound ? op : linalg::LinalgOp();
}
