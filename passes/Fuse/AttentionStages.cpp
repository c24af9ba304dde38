//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The members of forward and backward depend on each other through ops that are
// none (the loss). So each member has a stage, and each stage becomes loops of its
// own, which make the matrices of former stages again.
//
//===----------------------------------------------------------------------===//

#include "Attention.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace plait;

bool Attention::accumulates(Operation *op) const {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp)
    return false;
  const AttentionPart &part = parts.find(op)->second;
  for (auto [axis, kind] :
       llvm::zip_equal(part.loops, linalgOp.getIteratorTypesArray()))
    if (axis.kind == Axis::Row && kind == utils::IteratorType::reduction)
      return true;
  return false;
}

void plait::numberStages(Attention &found) {
  Block *block = found.scores->getBlock();
  // For ops that are no members, the last stage they depend on.
  DenseMap<Operation *, int> depth;
  for (Operation &op : *block) {
    bool isMember = found.isMember(&op);
    int stage = -1;
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *def = operand.getDefiningOp();
        def = def ? block->findAncestorOpInBlock(*def) : nullptr;
        auto it = depth.find(def);
        if (!def || it == depth.end() || it->second < 0)
          continue;
        bool comesBack = isMember && !found.isMember(def);
        stage = std::max(stage, it->second + comesBack);
      }
    });
    if (isMember)
      found.parts[&op].stage = stage = std::max(stage, 0);
    depth[&op] = stage;
  }
}

/// Whether `result` of a member of `stage` is kept.
static bool isUsedOutside(Attention &found, OpResult result, int stage,
                          const DenseSet<Value> &needed) {
  return !found.isMatrix(result) &&
         (needed.contains(result) ||
          llvm::any_of(result.getUsers(), [&](Operation *user) {
            return !found.isMember(user) || found.parts[user].stage != stage;
          }));
}

/// Collects what `stage` computes. `needed` are the results of former stages that
/// later ones read.
static void collectStage(Attention &found, int stage, DenseSet<Value> &needed) {
  AttentionStage &result = found.stages[stage];
  llvm::SetVector<Operation *> ops;
  for (auto &[op, part] : found.parts)
    if (part.isMember && part.stage == stage)
      for (OpResult value : op->getResults())
        if (isUsedOutside(found, value, stage, needed)) {
          ops.insert(op);
          result.results.push_back(value);
        }
  for (size_t i = 0; i < ops.size(); ++i)
    for (Value operand : ops[i]->getOperands()) {
      Operation *def = operand.getDefiningOp();
      auto part = found.parts.find(def);
      if (!def || part == found.parts.end())
        continue;
      if (found.isMatrix(operand) || part->second.stage == stage)
        ops.insert(def);
      else
        needed.insert(operand);
    }
  result.ops = ops.takeVector();
  llvm::sort(result.ops,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
}

void plait::collectStages(Attention &found) {
  int last = 0;
  for (auto &[op, part] : found.parts)
    last = std::max(last, part.stage);
  found.stages.resize(last + 1);
  DenseSet<Value> needed;
  for (int stage = last; stage >= 0; --stage)
    collectStage(found, stage, needed);
}
