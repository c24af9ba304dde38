//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One loop for an update that was written as several: `m' = b m + g` and then
// `w' = w - lr m'`. Tiled one by one, they would compute the gradient's tile as
// often as they read it.
//
//===----------------------------------------------------------------------===//

#include "MergeLoops.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace {
/// The operands of the op that replaces several, with the values their block
/// arguments stand for.
struct Merged {
  SmallVector<Value> inputs, inits;
  SmallVector<AffineMap> inputMaps;
  SmallVector<Type> types;
};
} // namespace

/// Whether `value` is what one of `ops` gives.
static bool isInside(Value value, ArrayRef<linalg::LinalgOp> ops) {
  return llvm::is_contained(ops, value.getDefiningOp());
}

/// What `ops` read from outside, each value once, and the destinations of what
/// is used outside.
static Merged collectOperands(ArrayRef<linalg::LinalgOp> ops,
                              ArrayRef<Value> results) {
  Merged merged;
  for (Value result : results) {
    // One loop may write where another has written: the first one's place.
    Value init = result;
    while (isInside(init, ops))
      init = cast<linalg::LinalgOp>(init.getDefiningOp())
                 .getTiedOpOperand(cast<OpResult>(init))
                 ->get();
    merged.inits.push_back(init);
    merged.types.push_back(result.getType());
  }
  for (linalg::LinalgOp op : ops)
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (!op.payloadUsesValueFromOperand(&operand) || isInside(value, ops) ||
          llvm::is_contained(merged.inputs, value) ||
          llvm::is_contained(merged.inits, value))
        continue;
      merged.inputs.push_back(value);
      merged.inputMaps.push_back(op.getMatchingIndexingMap(&operand));
    }
  return merged;
}

/// Clones the payloads of `ops` one after the other, with `scalars` for the
/// elements of tensors.
static void clonePayloads(OpBuilder &b, ArrayRef<linalg::LinalgOp> ops,
                          IRMapping &scalars) {
  for (linalg::LinalgOp op : ops) {
    IRMapping map;
    Block *body = op.getBlock();
    for (OpOperand &operand : op->getOpOperands())
      if (op.payloadUsesValueFromOperand(&operand))
        map.map(body->getArgument(operand.getOperandNumber()),
                scalars.lookup(operand.get()));
    for (Operation &inner : body->without_terminator())
      b.clone(inner, map);
    for (auto [result, value] :
         llvm::zip(op->getResults(), body->getTerminator()->getOperands()))
      scalars.map(result, map.lookupOrDefault(value));
  }
}

void plait::mergeLoops(RewriterBase &rewriter, ArrayRef<linalg::LinalgOp> ops,
                       MutableArrayRef<Value> results) {
  SmallVector<Value> made;
  for (Value result : results)
    if (isInside(result, ops) && !llvm::is_contained(made, result))
      made.push_back(result);
  Merged merged = collectOperands(ops, made);
  linalg::LinalgOp last = ops.back();
  SmallVector<AffineMap> maps = merged.inputMaps;
  maps.append(made.size(), rewriter.getMultiDimIdentityMap(last.getNumLoops()));
  rewriter.setInsertionPointAfter(last);
  auto generic = linalg::GenericOp::create(
      rewriter, last.getLoc(), merged.types, merged.inputs, merged.inits, maps,
      last.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange args) {
        IRMapping scalars;
        scalars.map(merged.inputs, args.take_front(merged.inputs.size()));
        scalars.map(merged.inits, args.drop_front(merged.inputs.size()));
        clonePayloads(b, ops, scalars);
        linalg::YieldOp::create(b, loc,
                                llvm::map_to_vector(made, [&](Value value) {
                                  return scalars.lookup(value);
                                }));
      });
  for (Value &result : results)
    if (auto *it = llvm::find(made, result); it != made.end())
      result = generic->getResult(it - made.begin());
  rewriter.replaceAllUsesWith(made, generic->getResults());
  for (linalg::LinalgOp op : llvm::reverse(ops))
    rewriter.eraseOp(op);
}
