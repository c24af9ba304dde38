//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Verifiers and the general update. How a named optimizer decomposes is in
// Optimizers.cpp.
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace plait::train;

unsigned plait::train::countGradients(ValueRange inputs, Value param) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(param.getType()).getShape();
  if (shape.empty())
    return 1;
  auto scalars = llvm::drop_begin(inputs);
  auto end = llvm::find_if(scalars, [&](Value input) {
    return cast<RankedTensorType>(input.getType()).getShape() != shape;
  });
  return 1 + std::distance(scalars.begin(), end);
}

//===----------------------------------------------------------------------===//
// train.update
//===----------------------------------------------------------------------===//

/// The yield that ends a region must give what the op returns.
static LogicalResult verifyYield(Operation *op, Region &body) {
  auto yield = dyn_cast<YieldOp>(body.front().getTerminator());
  if (!yield)
    return op->emitOpError("region must end in train.yield");
  if (yield.getValues().getTypes() != op->getResultTypes())
    return op->emitOpError("yields ")
           << yield.getValues().getTypes() << " but returns "
           << op->getResultTypes();
  return success();
}

static LogicalResult verifyBodyArguments(Operation *op, Block &body) {
  if (body.getArgumentTypes() != op->getOperandTypes())
    return op->emitOpError("region takes ")
           << body.getArgumentTypes() << " but the operands are "
           << op->getOperandTypes();
  return success();
}

/// What every update has in common: a gradient, a parameter, and results that
/// replace the outputs.
static LogicalResult verifyUpdate(UpdateOpInterface update, ValueRange inputs,
                                  ValueRange outputs) {
  Operation *op = update;
  if (inputs.empty())
    return op->emitOpError("needs a gradient in ins(...)");
  if (outputs.empty())
    return op->emitOpError("needs a parameter in outs(...)");
  if (op->getResultTypes() != outputs.getTypes())
    return op->emitOpError("results must have the types of outs(...): ")
           << outputs.getTypes();
  return success();
}

LogicalResult UpdateOp::verify() {
  if (failed(verifyUpdate(*this, getInputs(), getOutputs())) ||
      failed(verifyBodyArguments(*this, getBody().front())))
    return failure();
  return verifyYield(*this, getBody());
}

static bool isScalarOrRankZero(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  return !shaped || shaped.getRank() == 0;
}

/// An op of the body that computes element i from elements i and scalars.
static bool isElementwiseOrScalar(Operation &op) {
  if (isa<YieldOp>(op) || op.getName().getStringRef() == "tensor.empty")
    return true;
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp)
    return op.getNumRegions() == 0 && isPure(&op) &&
           llvm::all_of(op.getOperandTypes(), isScalarOrRankZero) &&
           llvm::all_of(op.getResultTypes(), isScalarOrRankZero);
  return linalgOp.getNumParallelLoops() == linalgOp.getNumLoops() &&
         !linalgOp.hasIndexSemantics() &&
         llvm::all_of(linalgOp.getIndexingMapsArray(), [](AffineMap map) {
           return map.isIdentity() || map.getNumResults() == 0;
         });
}

bool UpdateOp::isElementwise() {
  return llvm::all_of(getBody().front(), isElementwiseOrScalar);
}

/// Makes the op behind `next` write to `old`, unless it reads what it overwrites.
/// A region may write to any tensor; in one loop nest with the gradient, a panel
/// of that would be computed from a copy of the whole parameter.
static void writeInPlace(Value next, Value old) {
  auto op = next.getDefiningOp<linalg::LinalgOp>();
  if (!op || next.getType() != old.getType())
    return;
  OpOperand *init =
      op.getDpsInitOperand(cast<OpResult>(next).getResultNumber());
  if (!op.payloadUsesValueFromOperand(init))
    init->set(old);
}

FailureOr<SmallVector<Value>> UpdateOp::decomposeOperation(OpBuilder &b) {
  IRMapping map;
  map.map(getBody().getArguments(), getOperands());
  for (Operation &op : getBody().front().without_terminator())
    b.clone(op, map);
  SmallVector<Value> results;
  for (auto [yielded, old] : llvm::zip(
           getBody().front().getTerminator()->getOperands(), getOutputs())) {
    results.push_back(map.lookupOrDefault(yielded));
    // What is yielded as it came in is not this op's to write.
    if (yielded.getDefiningOp())
      writeInPlace(results.back(), old);
  }
  return results;
}

//===----------------------------------------------------------------------===//
// train.cluster
//===----------------------------------------------------------------------===//

LogicalResult ClusterOp::verify() {
  if (failed(verifyBodyArguments(*this, getBody().front())))
    return failure();
  return verifyYield(*this, getBody());
}

//===----------------------------------------------------------------------===//
// Named optimizers: verification
//===----------------------------------------------------------------------===//

/// `lr` is an attribute or the second input, never both; the states are those
/// the options ask for, in torch's order.
template <typename Op> static LogicalResult verifyOptimizer(Op op) {
  auto inputs = op.getInputs();
  auto outputs = op.getOutputs();
  if (failed(verifyUpdate(op, inputs, outputs)))
    return failure();
  Type param = outputs.front().getType();
  auto paramType = cast<RankedTensorType>(param);
  if (!paramType.getElementType().isF32())
    return op.emitOpError("parameter must be of f32, but is ") << param;
  if (inputs.front().getType() != param)
    return op.emitOpError("gradient has type ")
           << inputs.front().getType() << ", but the parameter " << param;
  if (op.getLr().has_value() == (inputs.size() == 2) || inputs.size() > 2)
    return op.emitOpError("takes the learning rate either as attribute 'lr' "
                          "or as the second operand of ins(...)");
  Type scalar = RankedTensorType::get({}, paramType.getElementType());
  if (inputs.size() == 2 && inputs[1].getType() != scalar)
    return op.emitOpError("learning rate has type ")
           << inputs[1].getType() << ", expected " << scalar;
  auto states = op.getStateSpecs();
  if (states.size() != outputs.size() - 1) {
    auto diag = op.emitOpError("expects ")
                << states.size() << " states after the parameter (";
    llvm::interleaveComma(states, diag,
                          [&](auto &state) { diag << state.name; });
    return diag << "), got " << outputs.size() - 1;
  }
  for (auto [state, value] : llvm::zip(states, outputs.drop_front()))
    if (Type expected = state.isScalar ? scalar : param;
        value.getType() != expected)
      return op.emitOpError("state '")
             << state.name << "' has type " << value.getType() << ", expected "
             << expected;
  return success();
}

LogicalResult SGDOp::verify() {
  if (getNesterov() && (getMomentum().isZero() || !getDampening().isZero()))
    return emitOpError("nesterov needs momentum and no dampening");
  return verifyOptimizer(*this);
}
LogicalResult AdagradOp::verify() { return verifyOptimizer(*this); }
LogicalResult RMSpropOp::verify() { return verifyOptimizer(*this); }
LogicalResult AdadeltaOp::verify() { return verifyOptimizer(*this); }
LogicalResult AdamOp::verify() {
  if (getBetas().size() != 2)
    return emitOpError("betas must be two numbers, got ") << getBetas().size();
  return verifyOptimizer(*this);
}

#define GET_OP_CLASSES
#include "plait/Dialect/Train/TrainOps.cpp.inc"
