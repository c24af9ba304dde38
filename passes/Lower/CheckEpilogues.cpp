//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Check epilogues: what train-mark-epilogues decided on tensors must still be
// right on buffers. An epilogue stores parts of its results while the product
// still reads its operands, so these may share no memory, in this step's buffers
// as in the arena. What is no longer an epilogue stays a loop of its own.
//
//===----------------------------------------------------------------------===//

#include "ConvolutionPlan.h"
#include "Epilogue.h"

#include "plait/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINCHECKEPILOGUES
#include "plait/Passes.h.inc"
} // namespace plait

/// The allocation or argument of a function that `memref` is a view of, or null
/// if it may be one of several.
static Value bufferOf(Value memref) {
  while (auto view = memref.getDefiningOp<ViewLikeOpInterface>())
    memref = view.getViewSource();
  if (auto arg = dyn_cast<BlockArgument>(memref)) {
    bool isOfFunction = isa<FunctionOpInterface>(arg.getOwner()->getParentOp());
    return isOfFunction ? memref : Value();
  }
  return memref.getDefiningOp<memref::AllocOp>() ? memref : Value();
}

/// Arguments of a step share no memory (docs/ABI.md).
static bool mayOverlap(Value a, Value b) {
  if (!isa<MemRefType>(a.getType()) || !isa<MemRefType>(b.getType()))
    return false;
  Value x = bufferOf(a), y = bufferOf(b);
  return !x || !y || x == y;
}

static bool isContiguousInRows(Value value) {
  auto type = dyn_cast<MemRefType>(value.getType());
  if (!type || type.getRank() == 0)
    return true;
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(type.getStridesAndOffset(strides, offset)) &&
         strides.back() == 1;
}

/// The op before `op` with an effect on memory other than to allocate.
static Operation *previousEffect(Operation *op) {
  op = op->getPrevNode();
  while (op && (isMemoryEffectFree(op) || isa<memref::AllocOp>(op)))
    op = op->getPrevNode();
  return op;
}

/// What `product` reads, and, for it may be done with that, what gives its output
/// the first values.
static SmallVector<Value> inputsOf(linalg::LinalgOp product) {
  SmallVector<Value> inputs = product.getDpsInputs();
  if (linalg::LinalgOp first = findFirstValues(product))
    llvm::append_range(inputs, first.getDpsInputs());
  return inputs;
}

/// Why `op` cannot be the epilogue of `before`; empty if it can.
static StringRef reasonAgainst(linalg::GenericOp op, Operation *before) {
  auto product = dyn_cast_or_null<linalg::LinalgOp>(before);
  StringRef reason;
  if (!product ||
      (failed(matchContraction(product, reason)) && !takesEpilogue(product)))
    return "no product that is lowered to tiles stands right before it";
  if (!isEpilogueBody(op) ||
      !llvm::all_of(op->getOperands(), isContiguousInRows))
    return "an operand is not contiguous along rows";
  Value sums = findSums(op, product);
  if (!sums)
    return "it does not read the product element by element";
  for (OpOperand &operand : op->getOpOperands()) {
    Value value = operand.get();
    if (value == sums)
      continue;
    if (mayOverlap(value, sums))
      return "an operand may share memory with the product";
    if (!op.isDpsInit(&operand))
      continue;
    for (Value input : inputsOf(product))
      if (mayOverlap(value, input))
        return "a result may share memory with what the product reads";
    for (OpOperand &other : op->getOpOperands())
      if (&other != &operand && mayOverlap(value, other.get()))
        return "a result may share memory with another operand";
  }
  return {};
}

static void check(linalg::GenericOp op) {
  Operation *product = previousEffect(op);
  StringRef reason = reasonAgainst(op, product);
  if (!reason.empty()) {
    op->removeAttr(kEpilogueAttr);
    remark::missed(op.getLoc(), remark::RemarkOpts::name("CheckEpilogues")
                                    .category("train-check-epilogues"))
        << ("not applied to the sums of a product: " + reason).str();
    return;
  }
  // Alive before the product, so that the arena gives no result the place of an
  // operand that is last read by it.
  Operation *first = findFirstValues(cast<linalg::LinalgOp>(product));
  while (op->getPrevNode() != product)
    product->getNextNode()->moveBefore(product);
  while (first && first->getNextNode() != product)
    first->getNextNode()->moveBefore(first);
}

namespace {
struct CheckEpilogues : plait::impl::TrainCheckEpiloguesBase<CheckEpilogues> {
  void runOnOperation() override {
    SmallVector<linalg::GenericOp> ops;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (op->hasAttr(kEpilogueAttr))
        ops.push_back(op);
    });
    for (linalg::GenericOp op : ops)
      check(op);
  }
};
} // namespace
