//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// UpdateDependence: computed by walking operands (what must come before) and
// uses (who still reads the old value); an update is isolated from above, so
// there is nothing else it could depend on.
//
//===----------------------------------------------------------------------===//

#include "plait/Analysis/UpdateDependence.h"

#include "plait/Analysis/Aliases.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

bool UpdateWindow::isLegal() const {
  if (earliest.reason == BoundReason::OldEscapes)
    return false;
  return !earliest.op || !latest.op || earliest.op->isBeforeInBlock(latest.op);
}

static Bound later(Bound a, Bound b) {
  if (!a.op)
    return b.op || b.reason == BoundReason::OldEscapes ? b : a;
  if (!b.op)
    return a;
  return a.op->isBeforeInBlock(b.op) ? b : a;
}

static Bound earlier(Bound a, Bound b) {
  if (!a.op || !b.op)
    return a.op ? a : b;
  return b.op->isBeforeInBlock(a.op) ? b : a;
}

/// The last op of the update's block that reads `old` or an alias of it,
/// the update itself and plain views apart.
static Bound lastOldReader(UpdateOpInterface update, Value old) {
  Block *block = update->getBlock();
  Bound bound;
  for (Value alias : collectAliases(old))
    for (Operation *user : alias.getUsers()) {
      // A reader in a nested region, or in another function region, counts as
      // the op of the update's block that holds it.
      Operation *inBlock = block->findAncestorOpInBlock(*user);
      if (!inBlock || inBlock == update.getOperation() || isView(user))
        continue;
      bool escapes = inBlock->hasTrait<OpTrait::IsTerminator>();
      bound = later(bound, {inBlock, escapes ? BoundReason::OldEscapes
                                             : BoundReason::OldReader});
    }
  return bound;
}

static Bound lastOperand(UpdateOpInterface update) {
  Bound bound;
  for (Value operand : update->getOperands())
    if (Operation *def = operand.getDefiningOp())
      if (Operation *inBlock = update->getBlock()->findAncestorOpInBlock(*def))
        bound = later(bound, {inBlock, BoundReason::Operand});
  return bound;
}

static Bound firstUse(UpdateOpInterface update, Value result) {
  Bound bound = {update->getBlock()->getTerminator(), BoundReason::FirstUse};
  for (Operation *user : result.getUsers())
    if (Operation *inBlock = update->getBlock()->findAncestorOpInBlock(*user))
      bound = earlier(bound, {inBlock, BoundReason::FirstUse});
  return bound;
}

UpdateDependence::UpdateDependence(Operation *root) {
  root->walk<WalkOrder::PreOrder>([&](UpdateOpInterface update) {
    updates.push_back(update);
    Bound operands = lastOperand(update);
    SmallVector<UpdateWindow> &perResult = windows[update];
    unsigned numInputs = update->getNumOperands() - update->getNumResults();
    for (auto [i, result] : llvm::enumerate(update->getResults())) {
      Value old = update->getOperand(numInputs + i);
      perResult.push_back({later(operands, lastOldReader(update, old)),
                           firstUse(update, result)});
    }
  });
}

UpdateWindow UpdateDependence::getWindow(UpdateOpInterface update) const {
  UpdateWindow meet;
  for (const UpdateWindow &window : windows.find(update)->second) {
    meet.earliest = later(meet.earliest, window.earliest);
    meet.latest = earlier(meet.latest, window.latest);
  }
  return meet;
}

static void printBound(raw_ostream &os, const Bound &bound) {
  switch (bound.reason) {
  case BoundReason::BlockStart:
    os << "the start of the block";
    return;
  case BoundReason::Operand:
    os << "operand made by ";
    break;
  case BoundReason::OldReader:
    os << "old value read by ";
    break;
  case BoundReason::FirstUse:
    os << "new value used by ";
    break;
  case BoundReason::OldEscapes:
    os << "old value passed on by ";
    break;
  }
  os << '\'' << bound.op->getName() << "' at " << bound.op->getLoc();
}

std::string UpdateDependence::explain(UpdateOpInterface update) const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "update of \"" << getParamName(update) << "\" waits for ";
  SmallVector<StringRef> others = getOtherGradients(update);
  Bound earliest = getWindow(update).earliest;
  if (!others.empty() && earliest.op) {
    os << '\'' << earliest.op->getName()
       << "', which depends on the gradients of " << others.size()
       << (others.size() == 1 ? " other parameter" : " other parameters");
    return text;
  }
  printBound(os, earliest);
  return text;
}

void UpdateDependence::print(raw_ostream &os) const {
  for (UpdateOpInterface update : updates) {
    os << "update of \"" << getParamName(update) << "\":\n";
    for (auto [i, window] : llvm::enumerate(windows.find(update)->second)) {
      os << "  result #" << i << (window.isLegal() ? "" : " (illegal)")
         << ": after ";
      printBound(os, window.earliest);
      os << "; before ";
      printBound(os, window.latest);
      os << '\n';
    }
    SmallVector<StringRef> others = getOtherGradients(update);
    if (others.empty())
      continue;
    os << "  depends on the gradients of ";
    llvm::interleaveComma(others, os,
                          [&](StringRef name) { os << '"' << name << '"'; });
    os << '\n';
  }
}
