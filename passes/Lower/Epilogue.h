//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An elementwise op right behind a product that reads its result, and is applied
// to the sums where they are: bias and activation, residual, the gradient of an
// activation. train-mark-epilogues decides on tensors which those are,
// train-check-epilogues sees that buffers allow it, and the emitters of products
// write what is here.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_EPILOGUE_H
#define PLAIT_PASSES_LOWER_EPILOGUE_H

#include "ContractionPlan.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace plait {

/// On an elementwise op: it is the epilogue of the product right before it.
inline constexpr llvm::StringLiteral kEpilogueAttr = "plait.epilogue";

/// Whether `op`, on tensors or buffers, computes each element from those at the
/// same place of operands, which it reads by rows, or repeated along a dimension,
/// and does so in vectors with the bits of a loop over elements.
bool isEpilogueBody(mlir::linalg::GenericOp op);

/// On buffers: the result of `product`, or the view of it as a matrix where it has
/// blocks, that `op` reads element by element. Null if it reads neither.
mlir::Value findSums(mlir::linalg::GenericOp op,
                     mlir::linalg::LinalgOp product);

/// On buffers: the op with kEpilogueAttr that is the next after `product` with an
/// effect on memory, and reads what that makes. Null if there is none.
mlir::linalg::GenericOp findEpilogue(mlir::linalg::LinalgOp product);

/// Applies the epilogue of `product` to `sums`, an element at `at` of the
/// accumulator or a vector of neighbours along its last dimension, and stores
/// what it gives; and `sums`, where the accumulator is read behind it. With a
/// `mask`, only some elements are read and stored.
void emitEpilogue(mlir::ImplicitLocOpBuilder &b, const Contraction &product,
                  mlir::Value sums, mlir::ValueRange at,
                  mlir::Value mask = nullptr);

/// The same for sums in memory: `size` of them from `begin` on along each
/// dimension of the accumulator, in vectors of `width`.
void emitEpilogue(mlir::ImplicitLocOpBuilder &b, const Contraction &product,
                  mlir::ValueRange begins, mlir::ValueRange ends,
                  int64_t width);

} // namespace plait

#endif // PLAIT_PASSES_LOWER_EPILOGUE_H
