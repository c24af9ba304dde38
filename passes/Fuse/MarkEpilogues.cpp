//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mark epilogues: which elementwise ops a product does on its sums. What reads a
// product first, and the elementwise ops that follow it, become one op right
// behind the product, on the product's dimensions; where nothing else reads the
// product, in its place. It is done while these are tensors, so that the sums get
// no buffer, and threads no loop of their own for what they belong to.
//
//===----------------------------------------------------------------------===//

#include "../Lower/ConvolutionPlan.h"
#include "../Lower/Epilogue.h"
#include "../Lower/Workspace.h"
#include "MergeLoops.h"

#include "plait/Analysis/Aliases.h"
#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace plait;

namespace plait {
#define GEN_PASS_DEF_TRAINMARKEPILOGUES
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
/// A product, its sums, where it makes them in blocks with these as one dimension,
/// the view of them that is read, if any, and elementwise ops: the first reads the
/// sums, each other one some of those before.
struct Chain {
  linalg::LinalgOp product;
  Value sums;
  tensor::ExpandShapeOp view;
  SmallVector<linalg::GenericOp> ops;

  Value read() { return view ? view.getResult() : sums; }
  bool makes(Value value) {
    return value == read() ||
           llvm::is_contained(ops, value.getDefiningOp<linalg::GenericOp>());
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Which
//===----------------------------------------------------------------------===//

/// Views, destinations and scalars, which can be anywhere behind their operands.
static bool isMovable(Operation *op) {
  return isView(op) || isa<tensor::EmptyOp>(op) ||
         (op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
          llvm::none_of(op->getResultTypes(), llvm::IsaPred<ShapedType>) &&
          llvm::none_of(op->getOperandTypes(), llvm::IsaPred<ShapedType>));
}

/// What `op` reads, its body included.
static SmallVector<Value> valuesOf(Operation *op) {
  llvm::SetVector<Value> values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values.takeVector();
}

/// Whether `value` is there before the product is done, or can be.
static bool canPrecede(Value value, Chain &chain) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != chain.product->getBlock() ||
      def->isBeforeInBlock(chain.product))
    return true;
  // A view of the sums, or of what the chain makes of them, has other elements.
  return def != chain.product && isMovable(def) &&
         llvm::all_of(valuesOf(def), [&](Value operand) {
           return canPrecede(operand, chain);
         });
}

/// Whether a step, or a loop, carries `value`: its place is the carried buffer,
/// which the product may read, and sums in another one would be copied there.
static bool isCarried(Value value) {
  return llvm::any_of(value.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (isView(user))
      return isCarried(user->getResult(0));
    if (!user->hasTrait<OpTrait::IsTerminator>())
      return false;
    auto fn = dyn_cast<FunctionOpInterface>(user->getParentOp());
    return !fn || isa_and_nonnull<train::NextAttr>(
                      train::getResultRole(fn, use.getOperandNumber()));
  });
}

/// Whether `op` can be done on the sums, behind the ops of `chain`. It writes to
/// a fresh tensor: an update in place is no epilogue.
static bool canJoin(linalg::GenericOp op, Chain &chain) {
  bool reads = llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    return chain.makes(operand->get()) &&
           op.getMatchingIndexingMap(operand).isIdentity();
  });
  if (!reads || op->getBlock() != chain.product->getBlock() ||
      !op.hasPureTensorSemantics() || !isEpilogueBody(op))
    return false;
  if (llvm::any_of(op->getResults(), isCarried))
    return false;
  for (OpOperand &init : op.getDpsInitsMutable())
    if (!init.get().getDefiningOp<tensor::EmptyOp>() ||
        op.payloadUsesValueFromOperand(&init))
      return false;
  if (chain.view &&
      !linalg::areDimSequencesPreserved(op.getIndexingMapsArray(),
                                        chain.view.getReassociationIndices()))
    return false;
  return llvm::all_of(valuesOf(op), [&](Value value) {
    return chain.makes(value) || canPrecede(value, chain);
  });
}

/// How many tensors of the product's size the ops of `chain` read and write.
static unsigned countStreams(Chain &chain) {
  llvm::SetVector<Value> streams;
  for (linalg::GenericOp op : chain.ops)
    for (OpOperand &operand : op->getOpOperands())
      if (op.getMatchingIndexingMap(&operand).isIdentity() &&
          op.payloadUsesValueFromOperand(&operand))
        streams.insert(operand.get());
  return streams.size();
}

/// What alone reads `value`, in the same block; null if there is more.
static Operation *onlyReader(Value value) {
  Operation *reader = value.hasOneUse() ? *value.user_begin() : nullptr;
  return reader && reader->getBlock() == value.getParentBlock() ? reader
                                                                : nullptr;
}

/// The ops that the sums of `product` go through; none if the first that reads
/// them is no epilogue.
static Chain findChain(linalg::LinalgOp product) {
  // With more tensors than this, rows of all of them are not in the first cache
  // with the product's own operands.
  constexpr unsigned kMaxStreams = 6;
  Chain chain{product, product->getResult(0), nullptr, {}};
  Operation *reader = onlyReader(chain.sums);
  if (auto collapse = dyn_cast_or_null<tensor::CollapseShapeOp>(reader);
      collapse &&
      collapse.getReassociationIndices() == blocksOfResult(product)) {
    chain.sums = collapse.getResult();
    reader = onlyReader(chain.sums);
  }
  chain.view = dyn_cast_or_null<tensor::ExpandShapeOp>(reader);
  Operation *first = nullptr;
  for (Operation *user : chain.read().getUsers())
    if (user->getBlock() != product->getBlock())
      return chain;
    else if (!first || user->isBeforeInBlock(first))
      first = user;
  for (Operation *op = first; op; op = op->getNextNode()) {
    if (op != first && (isMovable(op) || isa<linalg::FillOp>(op)))
      continue;
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || !canJoin(generic, chain))
      break;
    chain.ops.push_back(generic);
    if (countStreams(chain) > kMaxStreams) {
      chain.ops.pop_back();
      break;
    }
  }
  return chain;
}

//===----------------------------------------------------------------------===//
// Rewrite
//===----------------------------------------------------------------------===//

/// Moves `op`, and before it what it needs, behind `last`.
static void moveBehind(Operation *op, Operation *&last,
                       linalg::LinalgOp product) {
  bool isThere = op->getBlock() != product->getBlock() ||
                 op->isBeforeInBlock(last) || op == last;
  if (isThere)
    return;
  for (Value value : valuesOf(op))
    if (Operation *def = value.getDefiningOp())
      moveBehind(def, last, product);
  op->moveAfter(last);
  last = op;
}

/// Gives `op` the dimensions of the product that `view` divides.
static linalg::LinalgOp collapse(RewriterBase &rewriter, linalg::GenericOp op,
                                 tensor::ExpandShapeOp view) {
  rewriter.setInsertionPoint(op);
  FailureOr<linalg::CollapseResult> result = linalg::collapseOpIterationDims(
      op, view.getReassociationIndices(), rewriter);
  if (failed(result))
    return op;
  rewriter.replaceOp(op, result->results);
  for (OpOperand &operand : result->collapsedOp->getOpOperands()) {
    auto inner = operand.get().getDefiningOp<tensor::CollapseShapeOp>();
    auto outer =
        inner ? inner.getSrc().getDefiningOp<tensor::ExpandShapeOp>() : nullptr;
    if (!outer || outer.getSrcType() != inner.getResultType())
      continue;
    operand.set(outer.getSrc());
    if (inner->use_empty())
      rewriter.eraseOp(inner);
  }
  return result->collapsedOp;
}

/// One op for `ops`, which makes what is used elsewhere.
static linalg::GenericOp merge(RewriterBase &rewriter,
                               ArrayRef<linalg::LinalgOp> ops) {
  SmallVector<Value> results;
  for (linalg::LinalgOp op : ops)
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) {
            return !llvm::is_contained(ops, user);
          }))
        results.push_back(result);
  if (results.empty())
    return {};
  mergeLoops(rewriter, ops, results);
  auto merged = results.front().getDefiningOp<linalg::GenericOp>();
  // Views of what the first ones made stood between.
  for (Operation *user : llvm::make_early_inc_range(merged->getUsers()))
    if (user->getBlock() == merged->getBlock() && user->isBeforeInBlock(merged))
      user->moveAfter(merged);
  return merged;
}

/// Makes the first result of `op` in the place of the sums that it reads.
static linalg::GenericOp reuseSums(RewriterBase &rewriter, linalg::GenericOp op,
                                   Value sums) {
  SmallVector<Value> inputs, inits(op.getDpsInits());
  SmallVector<AffineMap> maps;
  unsigned at = 0;
  for (OpOperand *input : op.getDpsInputOperands()) {
    if (input->get() == sums) {
      at = input->getOperandNumber();
      continue;
    }
    inputs.push_back(input->get());
    maps.push_back(op.getMatchingIndexingMap(input));
  }
  for (OpOperand &init : op.getDpsInitsMutable())
    maps.push_back(op.getMatchingIndexingMap(&init));
  inits.front() = sums;
  rewriter.setInsertionPoint(op);
  auto inPlace = linalg::GenericOp::create(
      rewriter, op.getLoc(), op.getResultTypes(), inputs, inits, maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange args) {
        IRMapping map;
        map.map(op.getBody()->getArgument(at), args[inputs.size()]);
        unsigned next = 0;
        for (BlockArgument arg : op.getBody()->getArguments())
          if (arg.getArgNumber() != at)
            map.map(arg, args[next++]);
        for (Operation &inner : *op.getBody())
          b.clone(inner, map);
      });
  rewriter.replaceOp(op, inPlace);
  return inPlace;
}

static void rewrite(RewriterBase &rewriter, Chain &chain) {
  Operation *last = chain.product;
  SmallVector<linalg::LinalgOp> ops;
  for (linalg::GenericOp op : chain.ops) {
    moveBehind(op, last, chain.product);
    ops.push_back(op);
  }
  if (chain.view)
    for (linalg::LinalgOp &op : ops)
      op = collapse(rewriter, cast<linalg::GenericOp>(op.getOperation()),
                    chain.view);
  linalg::GenericOp merged = merge(rewriter, ops);
  if (!merged)
    return;
  if (chain.view && chain.view->use_empty())
    rewriter.eraseOp(chain.view);
  if (chain.sums.hasOneUse())
    merged = reuseSums(rewriter, merged, chain.sums);
  merged->setAttr(kEpilogueAttr, rewriter.getUnitAttr());
}

namespace {
struct MarkEpilogues : plait::impl::TrainMarkEpiloguesBase<MarkEpilogues> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> products;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if ((isMatrixProduct(op) || blocksOfResult(op) || takesEpilogue(op)) &&
          op.hasPureTensorSemantics() && !isInParallelLoop(op->getBlock()))
        products.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp product : products) {
      Chain chain = findChain(product);
      if (!chain.ops.empty())
        rewrite(rewriter, chain);
    }
  }
};
} // namespace
