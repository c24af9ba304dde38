//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Gradients of one row of a batch: an outer product, of which each element is one
// multiplication. The update computes it where it needs it; a panel of it would be
// stored and read again.
//
//===----------------------------------------------------------------------===//

#include "OuterProduct.h"

#include "../Lower/ContractionPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace plait;

/// Whether `op` multiplies, and adds one product to zero.
static bool isOuterProduct(linalg::LinalgOp op) {
  if (!op || !isContractionCandidate(op) || !op.hasPureTensorSemantics() ||
      !getElementTypeOrSelf(op->getResult(0)).isF32())
    return false;
  for (auto [kind, extent] :
       llvm::zip(op.getIteratorTypesArray(), op.getStaticLoopRanges()))
    if (kind == utils::IteratorType::reduction && extent != 1)
      return false;
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.value(), m_PosZeroFloat()) &&
         llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) {
           return map.isProjectedPermutation();
         });
}

/// The operand of `op` that is an outer product, for it alone.
static OpOperand *findOuterProduct(linalg::GenericOp op) {
  if (!op.hasPureTensorSemantics() ||
      op.getNumParallelLoops() != op.getNumLoops())
    return nullptr;
  for (OpOperand *input : op.getDpsInputOperands())
    if (input->get().hasOneUse() &&
        isOuterProduct(input->get().getDefiningOp<linalg::LinalgOp>()))
      return input;
  return nullptr;
}

/// Where the loops of `user` read `factor` of the product that is its `operand`.
static AffineMap mapOf(OpOperand &factor, linalg::LinalgOp product,
                       linalg::GenericOp user, OpOperand &operand) {
  MLIRContext *context = user.getContext();
  AffineMap result =
      product.getMatchingIndexingMap(product.getDpsInitOperand(0));
  SmallVector<AffineExpr> loops(product.getNumLoops(),
                                getAffineConstantExpr(0, context));
  for (auto [made, read] :
       llvm::zip(result.getResults(),
                 user.getMatchingIndexingMap(&operand).getResults()))
    loops[cast<AffineDimExpr>(made).getPosition()] = read;
  AffineMap map = product.getMatchingIndexingMap(&factor);
  return map.replaceDimsAndSymbols(loops, {}, user.getNumLoops(), 0);
}

static void fold(RewriterBase &rewriter, linalg::GenericOp op,
                 OpOperand &operand) {
  auto product = operand.get().getDefiningOp<linalg::LinalgOp>();
  unsigned at = operand.getOperandNumber();
  SmallVector<Value> inputs(op.getInputs());
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  inputs.erase(inputs.begin() + at);
  maps.erase(maps.begin() + at);
  for (OpOperand *factor : product.getDpsInputOperands()) {
    maps.insert(maps.begin() + inputs.size(),
                mapOf(*factor, product, op, operand));
    inputs.push_back(factor->get());
  }
  unsigned first = inputs.size() - 2;
  rewriter.setInsertionPoint(op);
  rewriter.replaceOpWithNewOp<linalg::GenericOp>(
      op, op.getResultTypes(), inputs, op.getOutputs(), maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange args) {
        Value element =
            arith::MulFOp::create(b, loc, args[first], args[first + 1]);
        // As the product does, which makes +0 of -0.
        Value zero =
            arith::ConstantOp::create(b, loc, b.getZeroAttr(b.getF32Type()));
        element = arith::AddFOp::create(b, loc, element, zero);
        IRMapping map;
        unsigned next = 0;
        for (BlockArgument arg : op.getBody()->getArguments()) {
          if (next == first)
            next += 2;
          map.map(arg, arg.getArgNumber() == at ? element : args[next++]);
        }
        for (Operation &inner : *op.getBody())
          b.clone(inner, map);
      });
}

void plait::foldOuterProducts(RewriterBase &rewriter, Operation *root) {
  SmallVector<linalg::GenericOp> ops;
  root->walk([&](linalg::GenericOp op) { ops.push_back(op); });
  for (linalg::GenericOp op : ops)
    if (OpOperand *operand = findOuterProduct(op))
      fold(rewriter, op, *operand);
}
