//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Recognizes tensors whose elements stand apart, with zeros between: the output's
// gradient in both gradients of a strided convolution.
//
//===----------------------------------------------------------------------===//

#include "Spread.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace plait;

static bool isZero(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    value = fill.getInputs().front();
  return matchPattern(value, m_PosZeroFloat());
}

/// Static, and nothing is cut off.
static bool isPlainPadding(ArrayRef<int64_t> padding) {
  return llvm::all_of(padding, [](int64_t size) { return size >= 0; });
}

FailureOr<Spread> plait::matchSpread(Value value) {
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  Spread spread{value, SmallVector<int64_t>(rank, 0),
                SmallVector<int64_t>(rank, 1)};
  auto enter = [&](Value source, ArrayRef<int64_t> offsets,
                   ArrayRef<int64_t> strides) {
    spread.source = source;
    for (int64_t dim = 0; dim < rank; ++dim) {
      spread.offsets[dim] += spread.strides[dim] * offsets[dim];
      spread.strides[dim] *= strides[dim];
    }
  };
  while (Operation *op = spread.source.getDefiningOp()) {
    if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
      if (!isZero(insert.getDest()) ||
          insert.getSourceType().getRank() != rank ||
          ShapedType::isDynamicShape(insert.getStaticOffsets()) ||
          ShapedType::isDynamicShape(insert.getStaticStrides()))
        break;
      enter(insert.getSource(), insert.getStaticOffsets(),
            insert.getStaticStrides());
    } else if (auto pad = dyn_cast<tensor::PadOp>(op)) {
      Value padding = pad.getConstantPaddingValue();
      if (!padding || !isZero(padding) || !isPlainPadding(pad.getStaticLow()) ||
          !isPlainPadding(pad.getStaticHigh()))
        break;
      enter(pad.getSource(), pad.getStaticLow(), SmallVector<int64_t>(rank, 1));
    } else {
      break;
    }
  }
  bool isSpread =
      llvm::any_of(spread.strides, [](int64_t stride) { return stride > 1; });
  auto type = cast<RankedTensorType>(spread.source.getType());
  if (!isSpread || !type.hasStaticShape())
    return failure();
  return spread;
}
