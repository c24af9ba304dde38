//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Forward fusion: each update waits for the next step, and runs there right
// before its parameter's first reader, as in software pipelining: a prologue
// (@step_first), the steady state (@step) and an epilogue (@step_flush).
//
// Zero gradients are no substitute for "nothing is pending": AdamW would decay
// the weights and count a step. A flag with scf.if would stand between update
// and reader and stop tile-and-fuse. Hence three functions.
//
//===----------------------------------------------------------------------===//

#include "../NotCalled.h"
#include "Cluster.h"
#include "plait/Analysis/Legality.h"
#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINFORWARDFUSION
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
/// A value that waiting updates read, and its role across the step boundary.
struct Pending {
  Value value;
  PendingAttr role;
};

/// What waits in a step: each value once, whichever updates read it.
struct PendingValues {
  SmallVector<Pending> values;
  /// For each update, which of `values` each input is.
  SmallVector<SmallVector<unsigned>> inputs;
};
} // namespace

static SmallVector<UpdateOpInterface> forwardUpdates(FunctionOpInterface step) {
  SmallVector<UpdateOpInterface> updates;
  step.walk([&](UpdateOpInterface update) {
    auto placement =
        update->getAttrOfType<PlacementAttr>(TrainDialect::kPlacementAttr);
    if (placement && placement.getValue() == Placement::Forward)
      updates.push_back(update);
  });
  return updates;
}

static unsigned numInputs(UpdateOpInterface update) {
  return update->getNumOperands() - update->getNumResults();
}

/// Every operand that is neither a parameter nor a state, in order. Its role is
/// that of the first update to read it.
static PendingValues pendingOf(ArrayRef<UpdateOpInterface> updates) {
  PendingValues pending;
  llvm::SmallDenseMap<Value, unsigned> known;
  for (UpdateOpInterface update : updates) {
    Builder b(update.getContext());
    SmallVector<unsigned> &inputs = pending.inputs.emplace_back();
    for (unsigned i = 0, e = numInputs(update); i < e; ++i) {
      Value value = update->getOperand(i);
      auto [it, isNew] = known.try_emplace(value, pending.values.size());
      inputs.push_back(it->second);
      if (isNew)
        pending.values.push_back(
            {value, PendingAttr::get(b.getContext(),
                                     b.getStringAttr(getParamName(update)),
                                     b.getStringAttr("in" + Twine(i)))});
    }
  }
  return pending;
}

/// All or nothing: what `train-place` checked is checked again, because the
/// graph may have changed since.
static LogicalResult checkAll(FunctionOpInterface step,
                              ArrayRef<UpdateOpInterface> updates) {
  if (failed(plait::checkNotCalled(step)))
    return failure();
  for (UpdateOpInterface update : updates) {
    std::string reason = whyNotMove(update);
    if (reason.empty())
      reason = whyNotWait(update);
    if (!reason.empty())
      return update->emitError("cannot wait for the next step: ") << reason;
  }
  return success();
}

/// Appends results to `step` and its terminator.
static void appendResults(FunctionOpInterface step, ArrayRef<Pending> pending) {
  Operation *ret = step.getFunctionBody().front().getTerminator();
  for (const Pending &p : pending) {
    auto attrs = DictionaryAttr::get(
        step.getContext(),
        NamedAttribute(
            StringAttr::get(step.getContext(), TrainDialect::kRoleAttr),
            p.role));
    (void)step.insertResult(step.getNumResults(), p.value.getType(), attrs);
    ret->insertOperands(ret->getNumOperands(), p.value);
  }
}

/// Appends one argument per pending value.
static SmallVector<Value> appendArguments(FunctionOpInterface step,
                                          ArrayRef<Pending> pending) {
  SmallVector<Value> args;
  for (const Pending &p : pending) {
    unsigned index = step.getNumArguments();
    (void)step.insertArgument(index, p.value.getType(), {}, p.value.getLoc());
    step.setArgAttr(index, TrainDialect::kRoleAttr, p.role);
    args.push_back(step.getArgument(index));
  }
  return args;
}

static FunctionOpInterface cloneAs(FunctionOpInterface step,
                                   const Twine &name) {
  FunctionOpInterface copy = cast<FunctionOpInterface>(step->clone());
  copy->removeAttr(TrainDialect::kModelAttr); // @step says it, once
  SymbolTable::setSymbolName(copy, name.str());
  OpBuilder b(step);
  b.insert(copy);
  return copy;
}

/// @step_first: parameters and states pass through; pending values come out.
static void makeFirst(FunctionOpInterface first) {
  SmallVector<UpdateOpInterface> updates = forwardUpdates(first);
  appendResults(first, pendingOf(updates).values);
  for (UpdateOpInterface update : updates) {
    for (auto [next, old] :
         llvm::zip(update->getResults(), update.getDpsInits()))
      next.replaceAllUsesWith(old);
    update->erase();
  }
}

/// The first op of the step's block that reads any of `values`.
static Operation *firstReader(Block *block, ValueRange values) {
  Operation *first = block->getTerminator();
  for (Value value : values)
    for (Operation *user : value.getUsers())
      if (Operation *inBlock = block->findAncestorOpInBlock(*user))
        if (inBlock->isBeforeInBlock(first))
          first = inBlock;
  return first;
}

/// Puts the update into one loop nest with its first reader, where it can be.
static void clusterWithReader(UpdateOpInterface update, Operation *reader) {
  std::string name = ("update of \"" + getParamName(update) + "\" ").str();
  auto opts = remark::RemarkOpts::name("forward-fusion")
                  .category("train-forward-fusion")
                  .function(getParamName(update));
  if (std::string reason = whyNotOneNest(update, reader); !reason.empty()) {
    remark::missed(update.getLoc(), opts)
        << name + "moved to the next step, but " + reason +
               ", so they are not one loop nest";
    return;
  }
  remark::passed(update.getLoc(), opts)
      << name + "is in one loop nest with its first reader in the next step";
  wrapIntoCluster({update, reader}, Placement::Forward);
}

/// @step: pending values come in, each update is applied right before the
/// first reader of what it replaces, and the new pending values go out.
static void makeSteady(FunctionOpInterface step) {
  Block *block = &step.getFunctionBody().front();
  SmallVector<UpdateOpInterface> updates = forwardUpdates(step);
  PendingValues pending = pendingOf(updates);
  SmallVector<Value> args = appendArguments(step, pending.values);
  appendResults(step, pending.values);
  for (auto [update, inputs] : llvm::zip(updates, pending.inputs)) {
    // The update's results go to next values only; those become the values
    // applied at the start of this step.
    SmallVector<Value> olds(update.getDpsInits());
    update->moveBefore(&block->front());
    for (auto [i, input] : llvm::enumerate(inputs))
      update->setOperand(i, args[input]);
    for (auto [next, old] : llvm::zip(update->getResults(), olds))
      old.replaceAllUsesExcept(next, update);
    Operation *reader = firstReader(block, update->getResults());
    update->moveBefore(reader);
    clusterWithReader(update, reader);
  }
}

/// @step_flush: parameters, states and pending values in, parameters and states
/// out.
static void makeFlush(FunctionOpInterface step, FunctionOpInterface flush) {
  SmallVector<UpdateOpInterface> updates = forwardUpdates(flush);
  Block *block = &flush.getFunctionBody().front();
  Operation *ret = block->getTerminator();
  PendingValues pending = pendingOf(updates);
  SmallVector<Value> args = appendArguments(flush, pending.values);
  for (auto [update, inputs] : llvm::zip(updates, pending.inputs))
    for (auto [i, input] : llvm::enumerate(inputs))
      update->setOperand(i, args[input]);
  // Keep the results that the waiting updates make; drop all others, and then
  // every op and argument that nothing uses any more.
  llvm::BitVector dropResults(flush.getNumResults());
  for (unsigned i = 0, e = flush.getNumResults(); i < e; ++i) {
    auto update = ret->getOperand(i).getDefiningOp<UpdateOpInterface>();
    if (!update || !llvm::is_contained(updates, update))
      dropResults.set(i);
  }
  ret->eraseOperands(dropResults);
  (void)flush.eraseResults(dropResults);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*block)))
    if (&op != ret && op.use_empty())
      op.erase();
  llvm::BitVector dropArgs(flush.getNumArguments());
  for (unsigned i = 0, e = flush.getNumArguments(); i < e; ++i)
    if (flush.getArgument(i).use_empty())
      dropArgs.set(i);
  (void)flush.eraseArguments(dropArgs);
}

LogicalResult plait::fuseForward(ModuleOp module, FunctionOpInterface step) {
  SmallVector<UpdateOpInterface> updates = forwardUpdates(step);
  if (updates.empty())
    return success();
  if (failed(checkAll(step, updates)))
    return failure();
  std::string name = SymbolTable::getSymbolName(step).str();
  for (StringRef suffix : {"_first", "_flush"})
    if (module.lookupSymbol(name + suffix.str()))
      return step.emitError("forward fusion would write @")
             << name << suffix << ", which exists";
  makeFirst(cloneAs(step, name + "_first"));
  FunctionOpInterface flush = cloneAs(step, name + "_flush");
  makeFlush(step, flush);
  makeSteady(step);
  return success();
}

namespace {
struct ForwardFusion : plait::impl::TrainForwardFusionBase<ForwardFusion> {
  void runOnOperation() override {
    SmallVector<FunctionOpInterface> steps;
    for (Operation &op : getOperation().getBody()->getOperations())
      if (isTrainingStep(&op))
        steps.push_back(cast<FunctionOpInterface>(op));
    for (FunctionOpInterface step : steps)
      if (failed(fuseForward(getOperation(), step)))
        return signalPassFailure();
  }
};
} // namespace
