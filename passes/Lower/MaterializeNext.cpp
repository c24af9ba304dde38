//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Materialize next: what a step carries to the next one is written into the
// argument it replaces. Bufferization then finds it in place, copies it there,
// or refuses; it cannot return a fresh buffer instead. A result that is an old
// value is copied before that is overwritten, and so is one that is made in the
// buffer of another argument. Whatever is not carried is read only.
//
//===----------------------------------------------------------------------===//

#include "../NotCalled.h"
#include "MayBeArgument.h"

#include "plait/Analysis/Aliases.h"
#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINMATERIALIZENEXT
#include "plait/Passes.h.inc"
} // namespace plait

/// Whether an op of `op`'s block that `counts`, or one inside of it, reads `old`
/// or a part of it.
static bool isReadBy(Value old, Operation *op,
                     llvm::function_ref<bool(Operation *)> counts) {
  SmallVector<Value> parts = {old};
  while (!parts.empty())
    for (Operation *user : parts.pop_back_val().getUsers()) {
      if (plait::isView(user)) {
        llvm::append_range(parts, user->getResults());
        continue;
      }
      Operation *inBlock = op->getBlock()->findAncestorOpInBlock(*user);
      if (inBlock && counts(inBlock))
        return true;
    }
  return false;
}

/// Whether an op of the block behind `op` reads `old` or a part of it. What the
/// block ends in does not count.
static bool isReadBehind(Value old, Operation *op) {
  return isReadBy(old, op, [op](Operation *reader) {
    return op->isBeforeInBlock(reader) &&
           !reader->hasTrait<OpTrait::IsTerminator>();
  });
}

static bool isReadIn(Value old, Operation *op) {
  return isReadBy(old, op, [op](Operation *reader) { return reader == op; });
}

/// A loop that starts with the argument ends in its buffer: its iterations are
/// tied by `train-materialize-regions`. To ask for it once more would be a
/// conflict to bufferization, which sees the argument written by loop and op.
/// But where the old value is read behind the loop, that runs on a copy.
static bool isCarriedThroughLoop(BlockArgument arg, Value value) {
  auto loop = value.getDefiningOp<LoopLikeOpInterface>();
  if (!loop)
    return false;
  OpOperand *init = loop.getTiedLoopInit(cast<OpResult>(value));
  return init && init->get() == arg && !isReadBehind(arg, loop);
}

/// A loop that fills a tensor which begins empty, as a scan stacks its results,
/// fills the argument instead. Left to the elimination of empty tensors, that
/// would happen after the result has been asked for in the argument: the conflict
/// that isCarriedThroughLoop avoids.
static void beginInArgument(BlockArgument arg, Value value) {
  auto loop = value.getDefiningOp<scf::ForOp>();
  if (!loop || loop->getBlock() != arg.getOwner())
    return;
  OpOperand *init = loop.getTiedLoopInit(cast<OpResult>(value));
  if (!init->get().getDefiningOp<tensor::EmptyOp>() ||
      init->get().getType() != arg.getType() || isReadIn(arg, loop) ||
      isReadBehind(arg, loop))
    return;
  init->set(arg);
}

/// What no result replaces is the same in the next step: inputs, but also frozen
/// parameters, and those of an evaluation. An op that has one for a destination
/// must not find it in place.
static void makeOthersReadOnly(FunctionOpInterface step) {
  llvm::BitVector readOnly(step.getNumArguments(), true);
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i)
    if (BlockArgument arg = getCarriedArg(step, i))
      readOnly.reset(arg.getArgNumber());
  for (unsigned i : readOnly.set_bits())
    step.setArgAttr(i, bufferization::BufferizationDialect::kWritableAttrName,
                    BoolAttr::get(step.getContext(), false));
}

/// Arguments whose buffers hold something else after the step.
static llvm::DenseSet<Value> overwrittenArgs(FunctionOpInterface step,
                                             Operation *ret) {
  llvm::DenseSet<Value> overwritten;
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i)
    if (BlockArgument arg = getCarriedArg(step, i);
        arg && arg != ret->getOperand(i))
      overwritten.insert(arg);
  return overwritten;
}

/// Result `i`, which is `value`, is made where `where` is: the user asked for
/// no copy of it, and the way out is theirs.
static void remarkSwap(FunctionOpInterface step, unsigned i, Value value,
                       BlockArgument where) {
  Attribute role = getArgRole(step, where.getArgNumber());
  std::string text;
  llvm::raw_string_ostream(text)
      << "result #" << i << " (" << getResultRole(step, i)
      << ") is made in the buffer of " << role
      << ", so it is copied in each step; make it from the old value of its "
         "own argument";
  // Of the parameter whose update this is, if it is one.
  auto param = dyn_cast<ParamAttr>(role);
  remark::missed(value.getLoc(),
                 remark::RemarkOpts::name("copy")
                     .category("train-materialize-next")
                     .function(param ? param.getName().getValue() : ""))
      << text;
}

/// An output, or another argument's next value, may be an old value, or one
/// made in place in the buffer of an argument that it is not the next value of;
/// and what is the next value of two arguments cannot be in both buffers.
static void copyWhatIsOverwritten(FunctionOpInterface step, Operation *ret,
                                  OpBuilder &b) {
  Block *body = ret->getBlock();
  llvm::DenseSet<Value> overwritten = overwrittenArgs(step, ret);
  llvm::SmallDenseSet<Value> carried;
  for (OpOperand &operand : ret->getOpOperands()) {
    unsigned i = operand.getOperandNumber();
    BlockArgument arg = getCarriedArg(step, i);
    Value value = operand.get();
    if (arg == value)
      continue;
    bool updates =
        arg &&
        (isCarriedThroughLoop(arg, value) ||
         isa_and_nonnull<DestinationStyleOpInterface>(value.getDefiningOp()));
    bool again = arg && !carried.insert(value).second;
    BlockArgument where;
    bool elsewhere =
        plait::mayBeArgument(value, body, [&](BlockArgument other) {
          where = other;
          return overwritten.contains(other) && !(updates && other == arg);
        });
    if (updates && elsewhere)
      remarkSwap(step, i, value, where);
    if (again || elsewhere)
      operand.set(plait::copyOf(b, value));
  }
}

static void materializeNext(FunctionOpInterface step) {
  Block *body = &step.getFunctionBody().front();
  Operation *ret = body->getTerminator();
  OpBuilder b(ret);
  DenseMap<Value, Value> ties;
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i)
    if (BlockArgument arg = getCarriedArg(step, i))
      beginInArgument(arg, ret->getOperand(i));
  copyWhatIsOverwritten(step, ret, b);
  for (unsigned i = 0, e = step.getNumResults(); i < e; ++i) {
    BlockArgument arg = getCarriedArg(step, i);
    Value value = ret->getOperand(i);
    if (!arg || arg == value || isCarriedThroughLoop(arg, value))
      continue;
    Value tied = bufferization::MaterializeInDestinationOp::create(
                     b, value.getLoc(), value, arg)
                     .getResult();
    ties.try_emplace(value, tied);
    ret->setOperand(i, tied);
  }
  // An output that is carried, too, is read where it then is.
  for (OpOperand &result : ret->getOpOperands())
    if (auto tie = ties.find(result.get());
        tie != ties.end() && !getCarriedArg(step, result.getOperandNumber()))
      result.set(tie->second);
  makeOthersReadOnly(step);
}

namespace {
struct MaterializeNext
    : plait::impl::TrainMaterializeNextBase<MaterializeNext> {
  void runOnOperation() override {
    getOperation()->walk([&](FunctionOpInterface fn) {
      if (!isTrainingStep(fn) || fn.isExternal())
        return;
      if (failed(plait::checkNotCalled(fn)))
        return signalPassFailure();
      materializeNext(fn);
    });
  }
};
} // namespace
