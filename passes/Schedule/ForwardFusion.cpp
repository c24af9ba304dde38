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
#include "Pending.h"
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
  SmallVector<Waiting> waiting = collectWaiting(first);
  appendResults(first, collectPending(waiting).values);
  for (Waiting &w : waiting) {
    w.op->replaceAllUsesWith(w.olds);
    w.op->erase();
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
static void clusterWithReader(Waiting &w, Operation *reader) {
  UpdateOpInterface update = w.update;
  std::string name = ("update of \"" + getParamName(update) + "\" ").str();
  auto opts = remark::RemarkOpts::name("forward-fusion")
                  .category("train-forward-fusion")
                  .function(getParamName(update));
  SmallVector<Operation *> members = {update};
  auto cluster = dyn_cast<ClusterOp>(w.op);
  StringRef with = cluster ? "its gradient and " : "";
  if (cluster) {
    IRRewriter rewriter(update.getContext());
    members = inlineCluster(rewriter, cluster);
  }
  std::string reason = whyNotOneNest(update, reader);
  if (reason.empty()) {
    members.push_back(reader);
    remark::passed(update.getLoc(), opts)
        << name + "is in one loop nest with " + with.str() +
               "its first reader in the next step";
  } else {
    remark::missed(update.getLoc(), opts)
        << name + "moved to the next step, but " + reason +
               ", so they are not one loop nest";
  }
  if (reason.empty())
    wrapIntoCluster(members, Placement::Forward);
  else if (cluster)
    wrapIntoCluster(members, Placement::Backward);
}

/// @step: pending values come in, each update is applied right before the
/// first reader of what it replaces, and the new pending values go out.
static void makeSteady(FunctionOpInterface step) {
  Block *block = &step.getFunctionBody().front();
  SmallVector<Waiting> waiting = collectWaiting(step);
  PendingValues pending = collectPending(waiting);
  SmallVector<Value> args = appendArguments(step, pending.values);
  appendResults(step, pending.values);
  // All before any: a reader's cluster makes pending values anew.
  for (Waiting &w : waiting)
    takePending(w, pending, args);
  for (Waiting &w : waiting) {
    // Its results go to next values only; those become the values applied at
    // the start of this step.
    w.op->moveBefore(&block->front());
    for (auto [next, old] : llvm::zip(w.op->getResults(), w.olds))
      old.replaceAllUsesExcept(next, w.op);
    Operation *reader = firstReader(block, w.op->getResults());
    w.op->moveBefore(reader);
    clusterWithReader(w, reader);
  }
}

/// @step_flush: parameters, states and pending values in, parameters and states
/// out.
static void makeFlush(FunctionOpInterface step, FunctionOpInterface flush) {
  SmallVector<Waiting> waiting = collectWaiting(flush);
  Block *block = &flush.getFunctionBody().front();
  Operation *ret = block->getTerminator();
  PendingValues pending = collectPending(waiting);
  SmallVector<Value> args = appendArguments(flush, pending.values);
  for (Waiting &w : waiting)
    takePending(w, pending, args);
  // Keep the results that the waiting updates make; drop all others, and then
  // every op and argument that nothing uses any more.
  llvm::BitVector dropResults(flush.getNumResults());
  for (unsigned i = 0, e = flush.getNumResults(); i < e; ++i) {
    Operation *op = ret->getOperand(i).getDefiningOp();
    if (llvm::none_of(waiting, [&](const Waiting &w) { return w.op == op; }))
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
  SmallVector<UpdateOpInterface> updates = collectForwardUpdates(step);
  if (updates.empty())
    return success();
  if (failed(checkAll(step, updates)))
    return failure();
  waitWithProducers(updates);
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
