//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Materialize regions: what an iteration carries to the next one is written into
// the buffer it replaces. Otherwise bufferization would carry a buffer that each
// iteration allocates anew, and in an arena, where an allocation is one place,
// an iteration would write what it still reads. What a loop begins with is its
// own, if it is read later. And a branch yields tensors of
// its own: bufferization takes all that one result may be for one buffer, and
// then finds what is written elsewhere to be what is read here.
//
//===----------------------------------------------------------------------===//

#include "MayBeArgument.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SubsetOpInterface.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINMATERIALIZEREGIONS
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
  llvm::SmallDenseSet<Value> written;
  for (auto [i, destination] : llvm::enumerate(carried)) {
    Value value = yield->getOperand(i);
    if (!destination || !isa<RankedTensorType>(value.getType()) ||
        isUpdateOf(value, destination))
      continue;
    toWrite.push_back(i);
    // A carried value may be overwritten before it is written here, and what
    // is carried twice cannot be in both buffers.
    if (!written.insert(value).second ||
        plait::mayBeArgument(value, body, [](BlockArgument) { return true; }))
      yield->setOperand(i, plait::copyOf(b, value));
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
    unsigned i =
        std::distance(loop.getConditionOp().getArgs().begin(), handedOn);
    carried.push_back(i < loop.getAfterArguments().size()
                          ? Value(loop.getAfterArguments()[i])
                          : Value());
  }
  tieCarried(loop.getYieldOp(), carried);
}

/// Gives a loop a copy of what it begins with, if that is read after the loop as
/// well. Bufferization would copy it, too, but not before the buffer that the
/// loop's result goes to has been handed to the init (eliminate-empty-tensors),
/// where the copy cannot be made any more.
static void ownInits(LoopLikeOpInterface loop) {
  OpBuilder b(loop);
  for (OpOperand &init : loop.getInitsMutable()) {
    Value value = init.get();
    if (!isa<RankedTensorType>(value.getType()) || isa<BlockArgument>(value))
      continue;
    bool readLater = llvm::any_of(value.getUsers(), [&](Operation *user) {
      Operation *ancestor = loop->getBlock()->findAncestorOpInBlock(*user);
      return ancestor && loop->isBeforeInBlock(ancestor);
    });
    if (readLater)
      init.set(bufferization::AllocTensorOp::create(
                   b, loop.getLoc(), cast<RankedTensorType>(value.getType()),
                   ValueRange(), value)
                   .getResult());
  }
}

/// Whether a branch's result goes to the buffer that one branch leaves as it is.
static bool isNextOf(Value result, Value old) {
  return llvm::any_of(result.getUsers(), [&](Operation *user) {
    auto write = dyn_cast<bufferization::MaterializeInDestinationOp>(user);
    return write && write.getSource() == result && write.getDest() == old;
  });
}

/// Makes a branch yield tensors of its own, each of them once.
static void ownYields(Operation *branching, Region &branch) {
  Operation *yield = branch.front().getTerminator();
  OpBuilder b(yield);
  llvm::SmallDenseSet<Value> yielded;
  for (OpOperand &operand : yield->getOpOperands()) {
    Value value = operand.get();
    auto type = dyn_cast<RankedTensorType>(value.getType());
    bool isOwn = branch.isAncestor(value.getParentRegion());
    if (!type || (yielded.insert(value).second && isOwn) ||
        isNextOf(branching->getResult(operand.getOperandNumber()), value))
      continue;
    operand.set(bufferization::AllocTensorOp::create(b, yield->getLoc(), type,
                                                     ValueRange(), value)
                    .getResult());
  }
}

/// A choice between tensors is a branch again; canonicalization makes the one of
/// the other.
static scf::IfOp branchOnSelect(arith::SelectOp select) {
  OpBuilder b(select);
  Location loc = select.getLoc();
  auto branching = scf::IfOp::create(
      b, loc, select.getCondition(),
      [&](OpBuilder &b, Location loc) {
        scf::YieldOp::create(b, loc, select.getTrueValue());
      },
      [&](OpBuilder &b, Location loc) {
        scf::YieldOp::create(b, loc, select.getFalseValue());
      });
  select->replaceAllUsesWith(branching.getResults());
  select.erase();
  return branching;
}

namespace {
struct MaterializeRegions
    : plait::impl::TrainMaterializeRegionsBase<MaterializeRegions> {
  void runOnOperation() override {
    SmallVector<Operation *> branches;
    getOperation()->walk([&](Operation *op) {
      if (auto loop = dyn_cast<LoopLikeOpInterface>(op))
        ownInits(loop);
      if (auto loop = dyn_cast<scf::ForOp>(op))
        tieFor(loop);
      if (auto loop = dyn_cast<scf::WhileOp>(op))
        tieWhile(loop);
      if (isa<scf::IfOp, scf::IndexSwitchOp, arith::SelectOp>(op))
        branches.push_back(op);
    });
    // After the loops, which say where a branch's result goes.
    for (Operation *op : branches) {
      if (auto select = dyn_cast<arith::SelectOp>(op)) {
        if (!isa<RankedTensorType>(select.getType()) ||
            !select.getCondition().getType().isInteger(1))
          continue;
        op = branchOnSelect(select);
      }
      for (Region &branch : op->getRegions())
        if (!branch.empty())
          ownYields(op, branch);
    }
  }
};
} // namespace
