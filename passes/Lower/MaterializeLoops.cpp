//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Materialize loops: what an iteration carries to the next one is written into
// the buffer it replaces. Otherwise bufferization would carry a buffer that each
// iteration allocates anew, and in an arena, where an allocation is one place,
// an iteration would write what it still reads.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SubsetOpInterface.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINMATERIALIZELOOPS
#include "plait/Passes.h.inc"
} // namespace plait

/// The tensor that `value` is an updated version of; null if it is new.
static Value updatedTensor(Value value) {
  auto result = dyn_cast<OpResult>(value);
  if (!result)
    return {};
  if (auto insert = dyn_cast<SubsetInsertionOpInterface>(result.getOwner()))
    return insert.getDestinationOperand().get();
  if (auto dps = dyn_cast<DestinationStyleOpInterface>(result.getOwner()))
    return dps.getTiedOpOperand(result)->get();
  if (auto loop = dyn_cast<LoopLikeOpInterface>(result.getOwner()))
    if (OpOperand *init = loop.getTiedLoopInit(result))
      return init->get();
  return {};
}

static bool isUpdateOf(Value value, Value carried) {
  while (value && value != carried)
    value = updatedTensor(value);
  return bool(value);
}

/// Ties each value that `yield` carries to the block argument it replaces, a
/// null where there is none.
static void tieCarried(Operation *yield, ArrayRef<Value> carried) {
  OpBuilder b(yield);
  Block *body = yield->getBlock();
  SmallVector<unsigned> toWrite;
  for (auto [i, destination] : llvm::enumerate(carried)) {
    Value value = yield->getOperand(i);
    if (!destination || !isa<RankedTensorType>(value.getType()) ||
        isUpdateOf(value, destination))
      continue;
    toWrite.push_back(i);
    // Another carried value may be overwritten before it is written here.
    auto arg = dyn_cast<BlockArgument>(value);
    if (!arg || arg.getOwner() != body)
      continue;
    auto copy = bufferization::AllocTensorOp::create(
        b, yield->getLoc(), cast<RankedTensorType>(value.getType()),
        ValueRange(), value);
    yield->setOperand(i, copy.getResult());
  }
  for (unsigned i : toWrite) {
    Value tied = bufferization::MaterializeInDestinationOp::create(
                     b, yield->getLoc(), yield->getOperand(i), carried[i])
                     .getResult();
    yield->setOperand(i, tied);
  }
}

static void tieFor(scf::ForOp loop) {
  SmallVector<Value> carried(loop.getRegionIterArgs());
  tieCarried(loop.getBody()->getTerminator(), carried);
}

/// The body of a while loop sees what it carries as far as the condition hands
/// it on unchanged.
static void tieWhile(scf::WhileOp loop) {
  SmallVector<Value> carried;
  for (BlockArgument before : loop.getBeforeArguments()) {
    auto handedOn = llvm::find(loop.getConditionOp().getArgs(), before);
    unsigned i = std::distance(loop.getConditionOp().getArgs().begin(), handedOn);
    carried.push_back(i < loop.getAfterArguments().size()
                          ? Value(loop.getAfterArguments()[i])
                          : Value());
  }
  tieCarried(loop.getYieldOp(), carried);
}

namespace {
struct MaterializeLoops
    : plait::impl::TrainMaterializeLoopsBase<MaterializeLoops> {
  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (auto loop = dyn_cast<scf::ForOp>(op))
        tieFor(loop);
      if (auto loop = dyn_cast<scf::WhileOp>(op))
        tieWhile(loop);
    });
  }
};
} // namespace
