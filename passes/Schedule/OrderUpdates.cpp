//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Order updates: the last look at a schedule. Whoever reads an old value behind
// the update that replaces it would make bufferization copy the value, and say
// nothing. So the update moves behind that reader; where it cannot, because the
// graph wants both values at once, a remark says so; and where a fusion has put
// the reader there, it is an error.
//
//===----------------------------------------------------------------------===//

#include "plait/Analysis/Aliases.h"
#include "plait/Analysis/Replacement.h"
#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINORDERUPDATES
#include "plait/Passes.h.inc"
} // namespace plait

/// The name of the first parameter that `op` updates.
static StringRef nameOf(Operation *op) {
  if (auto update = dyn_cast<UpdateOpInterface>(op))
    return getParamName(update);
  for (auto update : cast<ClusterOp>(op).getBody().getOps<UpdateOpInterface>())
    return getParamName(update);
  return "";
}

/// What keeps `op` before `reader`: an op that uses a new value, or one that
/// replaces what `op` itself reads. Null if nothing does.
static Operation *findObstacle(Operation *op, Operation *reader) {
  for (Operation *user : op->getUsers()) {
    Operation *inBlock = op->getBlock()->findAncestorOpInBlock(*user);
    if (inBlock && !reader->isBeforeInBlock(inBlock))
      return inBlock;
  }
  return findReplacement(op, reader->getNextNode());
}

/// The op in cluster `reader`, no update, that reads what `op` replaces: a
/// fusion may have moved it there. Null where no one did.
static Operation *findMovedReader(Operation *op, Operation *reader) {
  if (!isa<ClusterOp>(reader))
    return nullptr;
  for (Value old : getReplacedValues(op))
    for (Value alias : collectAliases(old))
      for (Operation *user : alias.getUsers())
        if (reader->isProperAncestor(user) && !isa<UpdateOpInterface>(user))
          return user;
  return nullptr;
}

static LogicalResult orderUpdate(Operation *op) {
  Operation *reader = findLateReader(op);
  if (!reader)
    return success();
  Operation *obstacle = findObstacle(op, reader);
  if (!obstacle) {
    op->moveAfter(reader);
    return success();
  }
  StringRef name = nameOf(op);
  if (Operation *moved = findMovedReader(op, reader)) {
    InFlightDiagnostic error = moved->emitOpError("reads the old value of \"");
    error << name << "\" in one loop nest with the update of \""
          << nameOf(reader) << "\", which comes after that of \"" << name
          << "\"; it must stay before it, outside of the nest";
    error.attachNote(op->getLoc()) << "\"" << name << "\" is replaced here";
    return error;
  }
  std::string text;
  llvm::raw_string_ostream(text)
      << "update of \"" << name << "\" needs a copy of the old value: '"
      << reader->getName() << "' at " << reader->getLoc()
      << " reads it, and the update must come before '" << obstacle->getName()
      << "' at " << obstacle->getLoc();
  remark::missed(op->getLoc(), remark::RemarkOpts::name("order-updates")
                                   .category("train-order-updates")
                                   .function(name))
      << text;
  return success();
}

namespace {
struct OrderUpdates : plait::impl::TrainOrderUpdatesBase<OrderUpdates> {
  void runOnOperation() override {
    FunctionOpInterface step = getOperation();
    if (!isTrainingStep(step) || step.isExternal())
      return;
    SmallVector<Operation *> updates;
    for (Operation &op : step.getFunctionBody().front())
      if (!getReplacedValues(&op).empty())
        updates.push_back(&op);
    for (Operation *op : updates)
      if (failed(orderUpdate(op)))
        signalPassFailure();
  }
};
} // namespace
