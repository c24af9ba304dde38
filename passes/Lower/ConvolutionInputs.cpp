//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Images are read through maps instead of being transposed. Where they are padded
// and read by more than one tile, as by those of a convolution that becomes
// products, padding is a fill and a copy, which one thread would do alone unless they
// are divided here.
//
//===----------------------------------------------------------------------===//

#include "ConvolutionInputs.h"
#include "../Divisor.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace plait;

//===----------------------------------------------------------------------===//
// Transposes
//===----------------------------------------------------------------------===//

/// `pad` without the transpose that makes its source, if one does.
static Value padBeforeTranspose(RewriterBase &rewriter, tensor::PadOp pad,
                                linalg::TransposeOp transpose) {
  ArrayRef<int64_t> permutation = transpose.getPermutation();
  SmallVector<OpFoldResult> low(permutation.size()), high(permutation.size());
  for (auto [to, from] : llvm::enumerate(permutation)) {
    low[from] = pad.getMixedLowPad()[to];
    high[from] = pad.getMixedHighPad()[to];
  }
  return tensor::PadOp::create(rewriter, pad.getLoc(), Type(),
                               transpose.getInput(), low, high,
                               pad.getConstantPaddingValue());
}

linalg::GenericOp plait::foldTransposes(RewriterBase &rewriter,
                                        linalg::GenericOp op,
                                        size_t numInputs) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  rewriter.setInsertionPoint(op);
  SmallVector<OpOperand *> inputs = op.getDpsInputOperands();
  for (OpOperand *input : ArrayRef(inputs).take_front(numInputs)) {
    auto pad = input->get().getDefiningOp<tensor::PadOp>();
    if (pad && !pad.getConstantPaddingValue())
      continue;
    Value transposed = pad ? pad.getSource() : input->get();
    auto transpose = transposed.getDefiningOp<linalg::TransposeOp>();
    if (!transpose)
      continue;
    Value source = pad ? padBeforeTranspose(rewriter, pad, transpose)
                       : transpose.getInput();
    AffineMap &map = maps[input->getOperandNumber()];
    SmallVector<AffineExpr> exprs(map.getNumResults());
    for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
      exprs[from] = map.getResult(to);
    map = AffineMap::get(map.getNumDims(), 0, exprs, op.getContext());
    rewriter.modifyOpInPlace(op, [&] { input->set(source); });
  }
  rewriter.modifyOpInPlace(op, [&] {
    op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  });
  return op;
}

//===----------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------===//

void plait::dividePad(RewriterBase &rewriter, tensor::PadOp pad,
                      int64_t minElements) {
  auto type = pad.getResultType();
  Value value = pad.getConstantPaddingValue();
  if (pad->use_empty() || !value || !type.hasStaticShape() ||
      type.getRank() < 2 || type.getNumElements() < minElements ||
      !pad.getSourceType().hasStaticShape() ||
      pad.getSourceType().getDimSize(0) != type.getDimSize(0) ||
      pad->getParentOfType<LoopLikeOpInterface>())
    return;
  int64_t extent = type.getDimSize(0);
  int64_t chunk = largestDivisor(extent, llvm::divideCeil(extent, 32));
  if (chunk == extent)
    return;
  Location loc = pad.getLoc();
  rewriter.setInsertionPoint(pad);
  Value empty = tensor::EmptyOp::create(rewriter, loc, type.getShape(),
                                        type.getElementType());
  OpFoldResult zero = rewriter.getIndexAttr(0),
               size = rewriter.getIndexAttr(chunk);
  auto loop = scf::ForallOp::create(
      rewriter, loc, ArrayRef(zero),
      ArrayRef<OpFoldResult>(rewriter.getIndexAttr(extent)), ArrayRef(size),
      empty,
      /*mapping=*/std::nullopt);
  // The part of a tensor of that shape that an iteration has.
  SmallVector<OpFoldResult> from(type.getRank(), zero),
      ones(type.getRank(), rewriter.getIndexAttr(1));
  from[0] = loop.getInductionVar(0);
  auto sizesOf = [&](RankedTensorType type) {
    SmallVector<OpFoldResult> sizes =
        getAsIndexOpFoldResult(rewriter.getContext(), type.getShape());
    sizes[0] = size;
    return sizes;
  };
  rewriter.setInsertionPointToStart(loop.getBody());
  Value out = loop.getRegionOutArgs()[0];
  Value part = tensor::ExtractSliceOp::create(rewriter, loc, out, from,
                                              sizesOf(type), ones);
  part = linalg::FillOp::create(rewriter, loc, value, part).getResult(0);
  SmallVector<OpFoldResult> sizes = sizesOf(pad.getSourceType());
  Value source = tensor::ExtractSliceOp::create(rewriter, loc, pad.getSource(),
                                                from, sizes, ones);
  part = tensor::InsertSliceOp::create(rewriter, loc, source, part,
                                       pad.getMixedLowPad(), sizes, ones);
  rewriter.setInsertionPointToEnd(loop.getTerminator().getBody());
  tensor::ParallelInsertSliceOp::create(rewriter, loc, part, out, from,
                                        sizesOf(type), ones);
  rewriter.replaceOp(pad, loop);
}
