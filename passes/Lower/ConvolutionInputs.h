//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What convolutions read: transposed, or padded.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_CONVOLUTIONINPUTS_H
#define PLAIT_PASSES_LOWER_CONVOLUTIONINPUTS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace plait {

/// Makes `op` read the first `numInputs` inputs through maps instead of transposing
/// them, before or after padding. Returns `op`.
mlir::linalg::GenericOp foldTransposes(mlir::RewriterBase &rewriter,
                                       mlir::linalg::GenericOp op,
                                       size_t numInputs);

/// Divides `pad`, if something reads it, among threads by its first dimension, if it has a constant value,
/// a static shape of at least `minElements`, and no padding in that dimension.
void dividePad(mlir::RewriterBase &rewriter, mlir::tensor::PadOp pad,
               int64_t minElements);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_CONVOLUTIONINPUTS_H
