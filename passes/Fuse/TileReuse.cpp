//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileReuse.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace plait;

TileReuse::TileReuse(const AttentionStage &stage) : stage(stage) {
  for (Operation *op : stage.ops) {
    for (Value operand : op->getOperands())
      lastReader[nameOf(operand)] = op;
    for (Value result : op->getResults())
      made.insert(result);
    if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
      source[op->getResult(0)] = nameOf(op->getOperand(0));
  }
}

Value TileReuse::nameOf(Value value) const {
  Value from = source.lookup(value);
  return from ? from : value;
}

Value TileReuse::find(linalg::LinalgOp op) const {
  if (op.getNumParallelLoops() != op.getNumLoops() || op->getNumResults() != 1)
    return {};
  AffineMap map = op.getIndexingMapsArray().back();
  for (OpOperand *input : op.getDpsInputOperands()) {
    Value value = input->get();
    if (made.contains(value) && value.getType() == op->getResult(0).getType() &&
        op.getMatchingIndexingMap(input) == map &&
        lastReader.lookup(nameOf(value)) == op &&
        !llvm::is_contained(stage.results, nameOf(value)))
      return value;
  }
  return {};
}

int64_t plait::bytesOfRow(const Attention &attention,
                          const AttentionStage &stage) {
  TileReuse reuse(stage);
  int64_t bytes = 0;
  for (Operation *op : stage.ops) {
    auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
    if (!linalgOp || reuse.find(linalgOp))
      continue;
    for (OpResult result : op->getResults())
      if (attention.isMatrix(result))
        bytes +=
            attention.cols *
            llvm::divideCeil(
                getElementTypeOrSelf(result.getType()).getIntOrFloatBitWidth(),
                8);
  }
  return bytes;
}
