//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Finalize ABI: the calling convention of docs/ABI.md. Carried results are
// their arguments' buffers already, so they disappear; every other result
// becomes a trailing argument that the caller allocates. And the last word on
// copies, a remark for each of a whole parameter or state, and on gradients that
// are stored.
//
//===----------------------------------------------------------------------===//

#include "../NotCalled.h"
#include "GradientBuffers.h"

#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINFINALIZEABI
#include "plait/Passes.h.inc"
} // namespace plait

static Value throughCasts(Value value) {
  while (auto cast = value.getDefiningOp<memref::CastOp>())
    value = cast.getSource();
  return value;
}

/// Moves result `i` of `step` to a trailing argument.
static void toOutParam(FunctionOpInterface step, Operation *ret, unsigned i) {
  Value value = throughCasts(ret->getOperand(i));
  auto type = cast<MemRefType>(value.getType());
  auto plain = MemRefType::get(type.getShape(), type.getElementType());
  unsigned index = step.getNumArguments();
  (void)step.insertArgument(index, plain, {}, value.getLoc());
  Value out = step.getArgument(index);
  // A buffer made for this result alone is the caller's buffer; anything else
  // (an argument, a buffer returned twice) is copied.
  auto alloc = value.getDefiningOp<memref::AllocOp>();
  if (alloc && alloc.getType() == plain &&
      llvm::count(ret->getOperands(), value) == 1) {
    value.replaceAllUsesWith(out);
    alloc.erase();
    return;
  }
  OpBuilder b(ret);
  memref::CopyOp::create(b, value.getLoc(), value, out);
}

/// What the argument is that `value` is all of; null where it is none, or no
/// parameter or state.
static Attribute carriedRole(FunctionOpInterface step, Value value) {
  auto arg = dyn_cast<BlockArgument>(throughCasts(value));
  if (!arg || arg.getOwner()->getParentOp() != step.getOperation() ||
      arg.getArgNumber() >= step.getNumArguments())
    return {};
  Attribute role = getArgRole(step, arg.getArgNumber());
  return isa_and_nonnull<ParamAttr, StateAttr>(role) ? role : Attribute();
}

/// Bufferization copies where a value is wanted after its buffer is written, and
/// says nothing.
static void reportCopies(FunctionOpInterface step) {
  step.walk([&](memref::CopyOp copy) {
    bool isTarget = false;
    Attribute role = carriedRole(step, copy.getSource());
    if (!role) {
      role = carriedRole(step, copy.getTarget());
      isTarget = true;
    }
    if (!role)
      return;
    auto param = dyn_cast<ParamAttr>(role);
    StringRef name =
        param ? param.getName().getValue() : cast<StateAttr>(role).getOwner();
    std::string text;
    llvm::raw_string_ostream(text)
        << "the whole of " << role << " is copied in each step: "
        << (isTarget ? "its next value is computed in another buffer"
                     : "its old value is wanted beside the next one, or as a "
                       "tensor of its own");
    remark::missed(copy.getLoc(), remark::RemarkOpts::name("copy")
                                      .category("train-finalize-abi")
                                      .function(name))
        << text;
  });
}

static LogicalResult finalizeAbi(FunctionOpInterface step) {
  if (failed(plait::checkNotCalled(step)))
    return failure();
  // Before a gradient that is an output, too, is in the caller's buffer.
  if (DictionaryAttr bytes = plait::gradientBytes(step); !bytes.empty())
    step->setAttr("plait.gradient_bytes", bytes);
  Operation *ret = step.getFunctionBody().front().getTerminator();
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i) {
    BlockArgument arg = getCarriedArg(step, i);
    if (!arg) {
      toOutParam(step, ret, i);
      continue;
    }
    if (throughCasts(ret->getOperand(i)) != arg)
      return step.emitError("result #")
             << i << " (" << getResultRole(step, i)
             << ") is not its argument's buffer; run train-materialize-next "
                "before bufferization";
  }
  reportCopies(step);
  llvm::BitVector all(step.getNumResults(), true);
  ret->eraseOperands(0, ret->getNumOperands());
  (void)step.eraseResults(all);
  for (unsigned i = 0, e = step.getNumArguments(); i < e; ++i) {
    step.removeArgAttr(i, TrainDialect::kRoleAttr);
    step.removeArgAttr(i, TrainDialect::kIndexRangeAttr);
    step.removeArgAttr(i, TrainDialect::kBlockedDimAttr);
    step.removeArgAttr(i,
                       bufferization::BufferizationDialect::kWritableAttrName);
  }
  return success();
}

namespace {
struct FinalizeAbi : plait::impl::TrainFinalizeAbiBase<FinalizeAbi> {
  void runOnOperation() override {
    getOperation()->walk([&](FunctionOpInterface fn) {
      if (isTrainingStep(fn) && !fn.isExternal() && failed(finalizeAbi(fn)))
        signalPassFailure();
    });
  }
};
} // namespace
