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
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINMATERIALIZENEXT
#include "plait/Passes.h.inc"
} // namespace plait

static void materializeNext(FunctionOpInterface step) {
  Operation *ret = step.getFunctionBody().front().getTerminator();
  OpBuilder b(ret);
  DenseMap<Value, Value> ties;
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i) {
    BlockArgument arg = getCarriedArg(step, i);
    Value value = ret->getOperand(i);
    if (!arg || arg == value)
      continue;
    // A value that is carried twice can be in place once; the copy reads it
    // where it then is.
    auto tie = ties.find(value);
    Value source =
        tie == ties.end()
            ? value
            : linalg::CopyOp::create(b, value.getLoc(), tie->second, arg)
                  .getResult(0);
    Value tied = bufferization::MaterializeInDestinationOp::create(
                     b, value.getLoc(), source, arg)
                     .getResult();
    ties.try_emplace(value, tied);
    ret->setOperand(i, tied);
  }
  // An output that is carried, too, is read where it then is.
  for (OpOperand &result : ret->getOpOperands())
    if (auto tie = ties.find(result.get()); tie != ties.end())
      result.set(tie->second);
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
