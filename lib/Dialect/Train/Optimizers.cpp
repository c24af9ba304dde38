//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How each named optimizer decomposes: scalars (bias corrections, decayed
// learning rates) once in double precision on rank-0 tensors, as torch computes
// them in Python, then one elementwise linalg.generic whose destinations are
// the parameter and its states, so that bufferization finds them in place. The
// formulas stand in TrainOps.td; the order of operations is that of torch's
// single-tensor implementations, so that results differ by rounding alone.
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace plait::train;

namespace {

/// f32 or f64 arithmetic with constants of the operand's type; it keeps the
/// formulas below readable.
struct Expr {
  ImplicitLocOpBuilder &b;
  Value constant(double value, Type type) {
    return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value sqrt(Value x) { return math::SqrtOp::create(b, x); }
  Value scale(double c, Value x) { return mul(x, constant(c, x.getType())); }
  Value offset(Value x, double c) { return add(x, constant(c, x.getType())); }
};

using Body = llvm::function_ref<SmallVector<Value>(Expr, ValueRange ins,
                                                   ValueRange outs)>;

/// One linalg.generic over `outs`: operands of rank 0 are read at every
/// element, the others at their own.
SmallVector<Value> elementwise(ImplicitLocOpBuilder &b, ValueRange ins,
                               ValueRange outs, Body body) {
  auto type = cast<RankedTensorType>(outs.front().getType());
  AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  AffineMap scalar = AffineMap::get(type.getRank(), 0, b.getContext());
  SmallVector<AffineMap> maps;
  for (Value in : ins)
    maps.push_back(cast<RankedTensorType>(in.getType()).getRank() == 0
                       ? scalar
                       : identity);
  maps.append(outs.size(), identity);
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, outs.getTypes(), ins, outs, maps, loops,
      [&](OpBuilder &inner, Location loc, ValueRange args) {
        ImplicitLocOpBuilder ib(loc, inner);
        linalg::YieldOp::create(ib, body(Expr{ib}, args.take_front(ins.size()),
                                         args.drop_front(ins.size())));
      });
  return SmallVector<Value>(generic.getResults());
}

/// A rank-0 f32 tensor computed in double precision from rank-0 ones.
Value scalar(ImplicitLocOpBuilder &b, ValueRange ins,
             llvm::function_ref<Value(Expr, SmallVector<Value>)> body) {
  Value out = tensor::EmptyOp::create(b, ArrayRef<int64_t>{}, b.getF32Type());
  return elementwise(b, ins, out,
                     [&](Expr e, ValueRange args, ValueRange) {
                       SmallVector<Value> wide;
                       for (Value arg : args)
                         wide.push_back(
                             arith::ExtFOp::create(e.b, e.b.getF64Type(), arg));
                       Value result = body(e, wide);
                       return SmallVector<Value>{arith::TruncFOp::create(
                           e.b, e.b.getF32Type(), result)};
                     })
      .front();
}

/// step + 1, in place.
Value increment(ImplicitLocOpBuilder &b, Value step) {
  return elementwise(b, {}, step,
                     [](Expr e, ValueRange, ValueRange outs) {
                       return SmallVector<Value>{e.offset(outs[0], 1.0)};
                     })
      .front();
}

/// The learning rate, in double precision, inside a `scalar` body: the
/// attribute, or the first of `wide`.
template <typename Op> Value rate(Op op, Expr e, ArrayRef<Value> wide) {
  if (op.getLr())
    return e.constant(op.getLr()->convertToDouble(), e.b.getF64Type());
  return wide.front();
}

/// lr operand, where there is one, followed by `more`.
template <typename Op>
SmallVector<Value> rateOperands(Op op, ValueRange more = {}) {
  SmallVector<Value> operands(op.getInputs().drop_front());
  llvm::append_range(operands, more);
  return operands;
}

template <typename Op> Value rateTensor(ImplicitLocOpBuilder &b, Op op) {
  return scalar(b, rateOperands(op), [&](Expr e, SmallVector<Value> wide) {
    return rate(op, e, wide);
  });
}

/// The gradient with its sign for `maximize` and coupled weight decay.
template <typename Op>
Value direction(Op op, Expr e, Value grad, Value param, bool decay = true) {
  if (op.getMaximize())
    grad = arith::NegFOp::create(e.b, grad);
  double weightDecay = op.getWeightDecay().convertToDouble();
  if (decay && weightDecay != 0)
    grad = e.add(grad, e.scale(weightDecay, param));
  return grad;
}

} // namespace

#define PLAIT_INFER_NEXT(OP)                                                   \
  LogicalResult OP::inferReturnTypes(MLIRContext *, std::optional<Location>,   \
                                     Adaptor adaptor,                          \
                                     SmallVectorImpl<Type> &inferred) {        \
    llvm::append_range(inferred, adaptor.getOutputs().getTypes());             \
    return success();                                                          \
  }
PLAIT_INFER_NEXT(SGDOp)
PLAIT_INFER_NEXT(AdagradOp)
PLAIT_INFER_NEXT(RMSpropOp)
PLAIT_INFER_NEXT(AdadeltaOp)
PLAIT_INFER_NEXT(AdamOp)
#undef PLAIT_INFER_NEXT

//===----------------------------------------------------------------------===//
// train.sgd
//===----------------------------------------------------------------------===//

SmallVector<SGDOp::StateSpec> SGDOp::getStateSpecs() {
  if (getMomentum().isZero())
    return {};
  return {{"momentum_buffer", false}, {"initialized", true}};
}

DecomposedUpdate SGDOp::decomposeOperation(OpBuilder &builder) {
  ImplicitLocOpBuilder b(getLoc(), builder);
  Value grad = getInputs().front(), lr = rateTensor(b, *this);
  double momentum = getMomentum().convertToDouble();
  if (momentum == 0)
    return elementwise(b, {grad, lr}, getOutputs(),
                       [&](Expr e, ValueRange in, ValueRange out) {
                         Value g = direction(*this, e, in[0], out[0]);
                         return SmallVector<Value>{
                             e.sub(out[0], e.mul(in[1], g))};
                       });

  Value initialized = getOutputs()[2];
  SmallVector<Value> next = elementwise(
      b, {grad, lr, initialized}, getOutputs().take_front(2),
      [&](Expr e, ValueRange in, ValueRange out) {
        Value g = direction(*this, e, in[0], out[0]);
        Value later = e.add(e.scale(momentum, out[1]),
                            e.scale(1 - getDampening().convertToDouble(), g));
        Value zero = e.constant(0, g.getType());
        Value first =
            arith::CmpFOp::create(e.b, arith::CmpFPredicate::OEQ, in[2], zero);
        Value buf = arith::SelectOp::create(e.b, first, g, later);
        Value step = getNesterov() ? e.add(g, e.scale(momentum, buf)) : buf;
        return SmallVector<Value>{e.sub(out[0], e.mul(in[1], step)), buf};
      });
  next.push_back(
      elementwise(b, {}, initialized, [](Expr e, ValueRange, ValueRange out) {
        return SmallVector<Value>{e.constant(1, out[0].getType())};
      }).front());
  return next;
}

//===----------------------------------------------------------------------===//
// train.adagrad
//===----------------------------------------------------------------------===//

SmallVector<AdagradOp::StateSpec> AdagradOp::getStateSpecs() {
  return {{"sum", false}, {"step", true}};
}

DecomposedUpdate AdagradOp::decomposeOperation(OpBuilder &builder) {
  ImplicitLocOpBuilder b(getLoc(), builder);
  Value step = increment(b, getOutputs()[2]);
  double decay = getLrDecay().convertToDouble();
  Value lr = scalar(b, rateOperands(*this, step),
                    [&](Expr e, SmallVector<Value> wide) {
                      Value past = e.scale(decay, e.offset(wide.back(), -1));
                      return e.div(rate(*this, e, wide), e.offset(past, 1));
                    });
  SmallVector<Value> next = elementwise(
      b, {getInputs().front(), lr}, getOutputs().take_front(2),
      [&](Expr e, ValueRange in, ValueRange out) {
        Value g = direction(*this, e, in[0], out[0]);
        Value sum = e.add(out[1], e.mul(g, g));
        Value std = e.offset(e.sqrt(sum), getEps().convertToDouble());
        return SmallVector<Value>{e.sub(out[0], e.mul(in[1], e.div(g, std))),
                                  sum};
      });
  next.push_back(step);
  return next;
}

//===----------------------------------------------------------------------===//
// train.rmsprop
//===----------------------------------------------------------------------===//

SmallVector<RMSpropOp::StateSpec> RMSpropOp::getStateSpecs() {
  SmallVector<StateSpec> states = {{"square_avg", false}};
  if (getCentered())
    states.push_back({"grad_avg", false});
  if (!getMomentum().isZero())
    states.push_back({"momentum_buffer", false});
  return states;
}

DecomposedUpdate RMSpropOp::decomposeOperation(OpBuilder &builder) {
  ImplicitLocOpBuilder b(getLoc(), builder);
  double alpha = getAlpha().convertToDouble();
  double momentum = getMomentum().convertToDouble();
  return elementwise(
      b, {getInputs().front(), rateTensor(b, *this)}, getOutputs(),
      [&](Expr e, ValueRange in, ValueRange out) {
        Value g = direction(*this, e, in[0], out[0]);
        Value square =
            e.add(e.scale(alpha, out[1]), e.mul(e.scale(1 - alpha, g), g));
        SmallVector<Value> next = {Value(), square};
        Value variance = square;
        if (getCentered()) {
          Value mean = e.add(out[2], e.scale(1 - alpha, e.sub(g, out[2])));
          next.push_back(mean);
          variance = e.sub(square, e.mul(mean, mean));
        }
        Value avg = e.offset(e.sqrt(variance), getEps().convertToDouble());
        Value move = e.div(g, avg);
        if (momentum != 0) {
          move = e.add(e.scale(momentum, out.back()), move);
          next.push_back(move);
        }
        next[0] = e.sub(out[0], e.mul(in[1], move));
        return next;
      });
}

//===----------------------------------------------------------------------===//
// train.adadelta
//===----------------------------------------------------------------------===//

SmallVector<AdadeltaOp::StateSpec> AdadeltaOp::getStateSpecs() {
  return {{"square_avg", false}, {"acc_delta", false}};
}

DecomposedUpdate AdadeltaOp::decomposeOperation(OpBuilder &builder) {
  ImplicitLocOpBuilder b(getLoc(), builder);
  double rho = getRho().convertToDouble(), eps = getEps().convertToDouble();
  return elementwise(
      b, {getInputs().front(), rateTensor(b, *this)}, getOutputs(),
      [&](Expr e, ValueRange in, ValueRange out) {
        Value g = direction(*this, e, in[0], out[0]);
        Value square =
            e.add(e.scale(rho, out[1]), e.mul(e.scale(1 - rho, g), g));
        Value std = e.sqrt(e.offset(square, eps));
        Value delta = e.mul(e.div(e.sqrt(e.offset(out[2], eps)), std), g);
        Value acc =
            e.add(e.scale(rho, out[2]), e.mul(e.scale(1 - rho, delta), delta));
        return SmallVector<Value>{e.sub(out[0], e.mul(in[1], delta)), square,
                                  acc};
      });
}

//===----------------------------------------------------------------------===//
// train.adam
//===----------------------------------------------------------------------===//

SmallVector<AdamOp::StateSpec> AdamOp::getStateSpecs() {
  SmallVector<StateSpec> states = {{"exp_avg", false}, {"exp_avg_sq", false}};
  if (getAmsgrad())
    states.push_back({"max_exp_avg_sq", false});
  states.push_back({"step", true});
  return states;
}

/// 1 - beta^step, in double precision.
static Value biasCorrection(Expr e, double beta, Value step) {
  Value power =
      math::PowFOp::create(e.b, e.constant(beta, step.getType()), step);
  return e.sub(e.constant(1, step.getType()), power);
}

DecomposedUpdate AdamOp::decomposeOperation(OpBuilder &builder) {
  ImplicitLocOpBuilder b(getLoc(), builder);
  double beta1 = getBetas()[0], beta2 = getBetas()[1];
  double weightDecay = getWeightDecay().convertToDouble();
  bool decoupled = getDecoupledWeightDecay() && weightDecay != 0;
  Value step = increment(b, getOutputs().back());
  Value stepSize = scalar(b, rateOperands(*this, step),
                          [&](Expr e, SmallVector<Value> wide) {
                            return e.div(rate(*this, e, wide),
                                         biasCorrection(e, beta1, wide.back()));
                          });
  // Its reciprocal, in double precision, and then a product for each element:
  // a division would take as long as the square root beside it.
  Value inverseRoot2 = scalar(b, step, [&](Expr e, SmallVector<Value> wide) {
    Value root = e.sqrt(biasCorrection(e, beta2, wide.back()));
    return e.div(e.constant(1, root.getType()), root);
  });
  SmallVector<Value> ins = {getInputs().front(), stepSize, inverseRoot2};
  if (decoupled)
    ins.push_back(
        scalar(b, rateOperands(*this), [&](Expr e, SmallVector<Value> wide) {
          Value decay = e.scale(weightDecay, rate(*this, e, wide));
          return e.sub(e.constant(1, decay.getType()), decay);
        }));
  SmallVector<Value> next = elementwise(
      b, ins, getOutputs().drop_back(),
      [&](Expr e, ValueRange in, ValueRange out) {
        Value param = decoupled ? e.mul(out[0], in[3]) : out[0];
        Value g = direction(*this, e, in[0], param,
                            /*decay=*/!getDecoupledWeightDecay());
        Value m = e.add(out[1], e.scale(1 - beta1, e.sub(g, out[1])));
        Value v =
            e.add(e.scale(beta2, out[2]), e.mul(e.scale(1 - beta2, g), g));
        Value variance = v;
        if (getAmsgrad())
          variance = arith::MaximumFOp::create(e.b, out[3], v);
        Value denom = e.offset(e.mul(e.sqrt(variance), in[2]),
                               getEps().convertToDouble());
        SmallVector<Value> result = {
            e.sub(param, e.mul(in[1], e.div(m, denom))), m, v};
        if (getAmsgrad())
          result.push_back(variance);
        return result;
      });
  next.push_back(step);
  return next;
}
