//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A layout reaches as far as ops that take element by element.
//
//===----------------------------------------------------------------------===//

#include "BlockedValues.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

bool plait::isSplat(Operation *op) {
  SplatElementsAttr value;
  return op && (isa<tensor::EmptyOp, linalg::FillOp>(op) ||
                matchPattern(op, m_Constant(&value)));
}

LogicalResult BlockedValues::fail(const Twine &reason) {
  why = reason.str();
  return failure();
}

bool BlockedValues::hasShape(Type other) const {
  auto tensor = dyn_cast<RankedTensorType>(other);
  return tensor && tensor.getShape() == type.getShape();
}

void BlockedValues::add(Value value) {
  if (values.insert(value))
    worklist.push_back(value);
}

void BlockedValues::addParam(ModuleOp module, StringAttr name) {
  if (!params.insert(name))
    return;
  for (auto fn : module.getOps<FunctionOpInterface>())
    for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i) {
      auto param = dyn_cast_or_null<ParamAttr>(getArgRole(fn, i));
      auto state = dyn_cast_or_null<StateAttr>(getArgRole(fn, i));
      if (param && param.getName() == name &&
          !hasShape(fn.getArgumentTypes()[i]))
        differs = true;
      else if ((param && param.getName() == name) ||
               (state && state.getOwner() == name &&
                hasShape(fn.getArgumentTypes()[i])))
        add(fn.getArgument(i));
    }
}

/// An argument must be a parameter or its state; what an op makes must be made
/// element by element, or be a product.
LogicalResult BlockedValues::visitSource(ModuleOp module, Value value) {
  if (Operation *op = value.getDefiningOp())
    return visitOp(op);
  auto arg = cast<BlockArgument>(value);
  auto fn = dyn_cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
  Attribute role = fn ? getArgRole(fn, arg.getArgNumber()) : Attribute();
  auto param = dyn_cast_or_null<ParamAttr>(role);
  auto state = dyn_cast_or_null<StateAttr>(role);
  if (!param && (!state || state.getOwner().empty()))
    return fail("is combined with a tensor that the step is given");
  addParam(module, param ? param.getName() : state.getOwner());
  return success();
}

LogicalResult BlockedValues::visitOp(Operation *op) {
  if (auto update = dyn_cast<UpdateOpInterface>(op))
    return visitUpdate(update);
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (linalgOp && linalg::isaContractionOpInterface(linalgOp))
    return visitProduct(*linalgOp.getDpsInitOperand(0));
  if (linalgOp)
    return visitElementwise(linalgOp);
  return fail("is read or made by '" + op->getName().getStringRef() + "'");
}

LogicalResult BlockedValues::visitUse(OpOperand &use) {
  Operation *op = use.getOwner();
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (linalgOp && linalg::isaContractionOpInterface(linalgOp))
    return visitProduct(use);
  auto fn = dyn_cast<FunctionOpInterface>(op->getParentOp());
  if (fn && op->hasTrait<OpTrait::IsTerminator>()) {
    results.push_back(&use);
    return success();
  }
  return visitOp(op);
}

/// The operand may be anything that a loop is lowered from as a register tile:
/// m, n, k and no more.
LogicalResult BlockedValues::visitProduct(OpOperand &operand) {
  auto op = cast<linalg::LinalgOp>(operand.getOwner());
  bool isPlain =
      op.getNumLoops() == 3 && op.getNumReductionLoops() == 1 &&
      op.getNumDpsInputs() == 2 && op.getNumDpsInits() == 1 &&
      llvm::all_of(op->getOpOperands(), [&](OpOperand &other) {
        auto tensor = dyn_cast<RankedTensorType>(other.get().getType());
        AffineMap map = op.getMatchingIndexingMap(&other);
        return tensor && tensor.hasStaticShape() &&
               tensor.getElementType().isF32() &&
               map.isProjectedPermutation() && map.getNumResults() == 2;
      });
  if (!isPlain)
    return fail("is read or made by a product of other loops than m, n and k");
  products.insert(&operand);
  if (op.isDpsInit(&operand)) {
    if (!isSplat(operand.get().getDefiningOp()))
      add(operand.get());
    add(op->getResult(0));
  }
  return success();
}

LogicalResult BlockedValues::visitElementwise(linalg::LinalgOp op) {
  if (isSplat(op))
    return success();
  if (!isa<linalg::GenericOp, linalg::MapOp>(op.getOperation()) ||
      op.getNumParallelLoops() != 2 || op.getNumLoops() != 2 ||
      op.hasIndexSemantics())
    return fail("is read by an op that is neither a product nor elementwise");
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (map.getNumResults() == 0)
      continue;
    if (!map.isIdentity() || !hasShape(operand.get().getType()))
      return fail("is combined with a tensor of another shape");
    if (!isSplat(operand.get().getDefiningOp()))
      add(operand.get());
  }
  if (elementwise.insert(op))
    for (Value result : op->getResults())
      add(result);
  return success();
}

/// Whether the region of a general update stays right where its tensors get
/// another shape.
static bool canChangeShapes(Operation *update) {
  WalkResult result = update->walk([&](Operation *op) {
    if (op == update || isa<YieldOp, linalg::YieldOp>(op) ||
        op->getParentOfType<linalg::LinalgOp>())
      return WalkResult::advance();
    if (auto loop = dyn_cast<linalg::LinalgOp>(op);
        loop && (loop.getNumParallelLoops() != loop.getNumLoops() ||
                 loop.hasIndexSemantics() ||
                 !isa<linalg::GenericOp, linalg::MapOp, linalg::FillOp>(op) ||
                 !llvm::all_of(loop.getIndexingMapsArray(), [](AffineMap map) {
                   return map.isIdentity() || map.getNumResults() == 0;
                 })))
      return WalkResult::interrupt();
    bool isTensorOp = llvm::any_of(op->getResultTypes(), [](Type type) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      return tensor && tensor.getRank() > 0;
    });
    if (isTensorOp && !isa<linalg::LinalgOp, tensor::EmptyOp>(op))
      return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return !result.wasInterrupted();
}

LogicalResult BlockedValues::visitUpdate(UpdateOpInterface update) {
  if (!update.isElementwise())
    return fail("has an update that reads the whole tensor");
  if (!canChangeShapes(update))
    return fail("has an update with ops on tensors that are not elementwise");
  if (!updates.insert(update))
    return success();
  for (Value operand : update->getOperands()) {
    auto tensor = dyn_cast<RankedTensorType>(operand.getType());
    if (tensor && tensor.getRank() == 0)
      continue;
    if (!hasShape(operand.getType()))
      return fail("has an update with a tensor of another shape");
    if (isSplat(operand.getDefiningOp()))
      return fail("has an update with a constant tensor");
    add(operand);
  }
  for (Value result : update->getResults())
    if (hasShape(result.getType()))
      add(result);
  return success();
}

/// What a function returns must be the next value of one of the tensors, and a
/// product has at most one of them.
LogicalResult BlockedValues::checkResults() {
  if (differs)
    return fail("has another shape in another function");
  for (OpOperand *operand : products)
    if (llvm::count_if(products, [&](OpOperand *other) {
          return other->getOwner() == operand->getOwner();
        }) > 1)
      return fail("is multiplied by itself, or makes its own gradient");
  for (OpOperand *use : results) {
    auto fn = cast<FunctionOpInterface>(use->getOwner()->getParentOp());
    BlockArgument arg = getCarriedArg(fn, use->getOperandNumber());
    if (!arg || !values.contains(arg))
      return fail("is also an output of the step");
  }
  // And nothing else may be what replaces one.
  for (Value value : values)
    if (auto arg = dyn_cast<BlockArgument>(value)) {
      auto fn = cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
      Operation *ret = fn.getFunctionBody().back().getTerminator();
      for (unsigned i = 0, e = fn.getNumResults(); i < e; ++i)
        if (getCarriedArg(fn, i) == arg && !values.contains(ret->getOperand(i)))
          return fail("is replaced by something that has no update");
    }
  return success();
}

LogicalResult BlockedValues::collect(ModuleOp module, BlockArgument param,
                                     std::string &reason) {
  type = dyn_cast<RankedTensorType>(param.getType());
  auto run = [&]() -> LogicalResult {
    if (!type || type.getRank() != 2 || !type.hasStaticShape() ||
        !type.getElementType().isF32())
      return fail("is no matrix of f32 of static shape");
    add(param);
    while (!worklist.empty()) {
      Value value = worklist.pop_back_val();
      if (failed(visitSource(module, value)))
        return failure();
      for (OpOperand &use : value.getUses())
        if (failed(visitUse(use)))
          return failure();
    }
    return checkResults();
  };
  LogicalResult result = run();
  reason = why;
  return result;
}
