//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writing clusters: which values go in, which inits are cloned, which results
// come out. Which ops belong together is the fusion passes' decision.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

bool plait::isInit(Operation *op) {
  return isa<tensor::EmptyOp, linalg::FillOp>(op);
}

/// Inits and constants are cloned into the cluster that uses them.
static bool isCloned(Operation *op) {
  return isInit(op) || op->hasTrait<OpTrait::ConstantLike>();
}

static void cloneWithOperands(OpBuilder &b, Operation *op, IRMapping &map) {
  if (op->getNumResults() && map.contains(op->getResult(0)))
    return;
  for (Value operand : op->getOperands())
    if (Operation *def = operand.getDefiningOp(); def && isCloned(def))
      cloneWithOperands(b, def, map);
  b.clone(*op, map);
}

/// Values that `op`, its regions included, takes from outside itself.
static llvm::SetVector<Value> outerOperands(Operation *op) {
  llvm::SetVector<Value> operands;
  op->walk([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (!op->isProperAncestor(operand.getParentBlock()->getParentOp()))
        if (operand.getParentBlock()->getParentOp() != op)
          operands.insert(operand);
  });
  return operands;
}

/// What the cloned inits need from outside: a fill may fill with a value that
/// is no constant.
static void collectInputs(Value operand,
                          const llvm::SetVector<Operation *> &inside,
                          llvm::SetVector<Value> &inputs) {
  Operation *def = operand.getDefiningOp();
  if (def && inside.contains(def))
    return;
  if (!def || !isCloned(def)) {
    inputs.insert(operand);
    return;
  }
  for (Value inner : def->getOperands())
    collectInputs(inner, inside, inputs);
}

llvm::SetVector<Value>
plait::collectClusterInputs(ArrayRef<Operation *> members) {
  llvm::SetVector<Operation *> inside(members.begin(), members.end());
  llvm::SetVector<Value> inputs;
  for (Operation *op : members)
    for (Value operand : outerOperands(op))
      collectInputs(operand, inside, inputs);
  return inputs;
}

ClusterOp plait::wrapIntoCluster(ArrayRef<Operation *> members,
                                 Placement kind) {
  SmallVector<Operation *> ordered(members);
  llvm::sort(ordered,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  llvm::SetVector<Operation *> inside(ordered.begin(), ordered.end());
  llvm::SetVector<Value> inputs = collectClusterInputs(ordered), results;
  for (Operation *op : ordered)
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) {
            return !inside.contains(
                op->getBlock()->findAncestorOpInBlock(*user));
          }))
        results.insert(result);

  Location loc = ordered.back()->getLoc();
  OpBuilder b(ordered.back());
  auto cluster = ClusterOp::create(
      b, loc, TypeRange(ValueRange(results.getArrayRef())),
      PlacementAttr::get(b.getContext(), kind), inputs.getArrayRef());
  Block *body = b.createBlock(&cluster.getBody());
  IRMapping map;
  for (Value input : inputs)
    map.map(input, body->addArgument(input.getType(), input.getLoc()));
  for (Operation *op : ordered) {
    for (Value operand : outerOperands(op))
      if (Operation *def = operand.getDefiningOp();
          def && !inside.contains(def) && isCloned(def))
        cloneWithOperands(b, def, map);
    b.clone(*op, map);
  }
  YieldOp::create(b, loc, llvm::map_to_vector(results, [&](Value value) {
                    return map.lookup(value);
                  }));
  for (auto [i, value] : llvm::enumerate(results.takeVector()))
    value.replaceAllUsesWith(cluster.getResult(i));
  for (Operation *op : llvm::reverse(ordered))
    op->erase();
  return cluster;
}

SmallVector<Operation *> plait::inlineCluster(RewriterBase &rewriter,
                                              ClusterOp cluster) {
  Block *body = &cluster.getBody().front();
  Operation *yield = body->getTerminator();
  auto ops = llvm::map_to_vector(body->without_terminator(),
                                 [](Operation &op) { return &op; });
  SmallVector<Value> inputs(cluster.getInputs());
  rewriter.inlineBlockBefore(body, cluster, inputs);
  rewriter.replaceOp(cluster, yield->getOperands());
  rewriter.eraseOp(yield);
  return ops;
}
