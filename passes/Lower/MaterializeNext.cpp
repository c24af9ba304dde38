//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Materialize next: what a step carries to the next one is written into the
// argument it replaces. Bufferization then finds it in place, copies it there,
// or refuses; it cannot return a fresh buffer instead.
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINMATERIALIZENEXT
#include "plait/Passes.h.inc"
} // namespace plait

/// A loop that starts with the argument ends in its buffer: its iterations are
/// tied by `train-materialize-loops`. To ask for it once more would be a
/// conflict to bufferization, which sees the argument written by loop and op.
static bool isCarriedThroughLoop(BlockArgument arg, Value value) {
  auto loop = value.getDefiningOp<LoopLikeOpInterface>();
  if (!loop)
    return false;
  OpOperand *init = loop.getTiedLoopInit(cast<OpResult>(value));
  return init && init->get() == arg;
}

static void materializeNext(FunctionOpInterface step) {
  Operation *ret = step.getFunctionBody().front().getTerminator();
  OpBuilder b(ret);
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i) {
    BlockArgument arg = getCarriedArg(step, i);
    Value value = ret->getOperand(i);
    if (!arg || arg == value || isCarriedThroughLoop(arg, value))
      continue;
    Value tied = bufferization::MaterializeInDestinationOp::create(
                     b, value.getLoc(), value, arg)
                     .getResult();
    ret->setOperand(i, tied);
  }
  for (unsigned i = 0, e = step.getNumArguments(); i < e; ++i)
    if (isa_and_nonnull<InputAttr>(getArgRole(step, i)) || !getArgRole(step, i))
      step.setArgAttr(i, bufferization::BufferizationDialect::kWritableAttrName,
                      b.getBoolAttr(false));
}

namespace {
struct MaterializeNext : plait::impl::TrainMaterializeNextBase<MaterializeNext> {
  void runOnOperation() override {
    getOperation()->walk([](FunctionOpInterface fn) {
      if (isTrainingStep(fn) && !fn.isExternal())
        materializeNext(fn);
    });
  }
};
} // namespace
