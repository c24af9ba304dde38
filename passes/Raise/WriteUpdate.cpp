//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writing updates: one linalg.generic whose destinations are the parameter and
// its states, so that bufferization finds them in place, and before it the
// scalar maths, so that no element repeats them. A slice that holds a norm is
// copied as it stands.
//
//===----------------------------------------------------------------------===//

#include "WriteUpdate.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace {

/// Writes values of the slice into one body, for one element.
class BodyEmitter {
public:
  explicit BodyEmitter(OpBuilder &b) : b(b) {}

  /// Inside the body, `outer` is `inner`.
  void define(ValueRange outer, ValueRange inner) { known.map(outer, inner); }

  Value get(Value outer) {
    outer = lookThroughSplats(outer);
    if (Value value = known.lookupOrNull(outer))
      return value;
    if (TypedAttr attr = getConstantElement(outer)) {
      Value value = arith::ConstantOp::create(b, outer.getLoc(), attr);
      known.map(outer, value);
      return value;
    }
    Operation *def = outer.getDefiningOp();
    if (auto op = dyn_cast<linalg::LinalgOp>(def))
      inlineBody(op);
    else
      inlineScalar(def);
    return known.lookup(outer);
  }

private:
  void inlineBody(linalg::LinalgOp op) {
    IRMapping map;
    for (OpOperand &operand : op->getOpOperands())
      if (!op.isDpsInit(&operand) || op.payloadUsesValueFromOperand(&operand))
        map.map(op.getMatchingBlockArgument(&operand), get(operand.get()));
    auto resolve = [&](Operation &inner) {
      for (Value operand : inner.getOperands())
        if (!map.contains(operand))
          map.map(operand, get(operand));
    };
    for (Operation &inner : op.getBlock()->without_terminator()) {
      resolve(inner);
      insert(inner.clone(map), inner.getResults(), map);
    }
    Operation *yield = op.getBlock()->getTerminator();
    resolve(*yield);
    for (auto [result, value] :
         llvm::zip(op->getResults(), yield->getOperands()))
      known.map(result, map.lookup(value));
  }

  /// An op that works on tensors as on scalars.
  void inlineScalar(Operation *op) {
    IRMapping map;
    for (Value operand : op->getOperands())
      map.map(operand, get(operand));
    Operation *copy = op->clone(map);
    for (Value result : copy->getResults())
      result.setType(getElementTypeOrSelf(result.getType()));
    insert(copy, op->getResults(), known);
  }

  /// Inserts `copy`, or what it folds to.
  void insert(Operation *copy, ValueRange results, IRMapping &map) {
    b.insert(copy);
    map.map(results, copy->getResults());
    SmallVector<Value> folded;
    if (Value rounded = foldTruncation(copy))
      folded.push_back(rounded);
    else if (failed(b.tryFold(copy, folded)) || folded.empty())
      return;
    map.map(results, folded);
    copy->erase();
  }

  /// torch's hyperparameters are f64 constants that each body rounds to f32;
  /// upstream folds that only where nothing is lost.
  Value foldTruncation(Operation *op) {
    auto truncate = dyn_cast<arith::TruncFOp>(op);
    APFloat value(0.0);
    if (!truncate || truncate.getRoundingmode() ||
        !matchPattern(truncate.getIn(), m_ConstantFloat(&value)))
      return {};
    auto type = cast<FloatType>(truncate.getType());
    bool losesInfo;
    value.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
    return arith::ConstantOp::create(b, op->getLoc(),
                                     b.getFloatAttr(type, value));
  }

  OpBuilder &b;
  IRMapping known;
};

/// The scalars of a slice, by who reads them.
struct ScalarUses {
  llvm::SetVector<Value> ofScalars;  ///< from outside, read by scalar maths
  llvm::SetVector<Value> ofElements; ///< from outside, read by elements
  llvm::SetVector<Value> made;       ///< made by scalar maths, read by elements
};

} // namespace

static bool isScalarParam(const UpdateSlice &slice) {
  return isScalarLike(slice.carried.front().arg.getType());
}

/// For a parameter of rank 0, everything is an element.
static ScalarUses collectScalars(const UpdateSlice &slice) {
  ScalarUses uses;
  auto add = [&](Value value, bool byScalars) {
    value = lookThroughSplats(value);
    if (!isScalarLike(value.getType()) || isConstantMaths(value))
      return;
    bool external = slice.scalars.contains(value);
    if (byScalars && !isScalarParam(slice)) {
      if (external)
        uses.ofScalars.insert(value);
    } else if (external) {
      uses.ofElements.insert(value);
    } else if (!isScalarParam(slice)) {
      uses.made.insert(value);
    }
  };
  for (Operation *op : slice.ops) {
    Value result = op->getResult(0);
    if (lookThroughSplats(result) == result)
      for (Value read : getValuesRead(op))
        add(read, isScalarLike(result.getType()));
  }
  for (const Carried &value : slice.carried)
    add(value.next, isScalarLike(value.arg.getType()));
  return uses;
}

/// One linalg.generic over `outs`: scalars are the same for each element, the
/// others are read at their own.
static linalg::GenericOp
createElementwise(ImplicitLocOpBuilder &b, ValueRange ins, ValueRange outs,
                  llvm::function_ref<SmallVector<Value>(BodyEmitter &,
                                                        ValueRange, ValueRange)>
                      body) {
  int64_t rank = cast<RankedTensorType>(outs.front().getType()).getRank();
  SmallVector<AffineMap> maps;
  for (Value in : ins)
    maps.push_back(isScalarLike(in.getType())
                       ? AffineMap::get(rank, 0, b.getContext())
                       : b.getMultiDimIdentityMap(rank));
  maps.append(outs.size(), b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
      b, outs.getTypes(), ins, outs, maps, loops,
      [&](OpBuilder &inner, Location loc, ValueRange args) {
        BodyEmitter emitter(inner);
        linalg::YieldOp::create(inner, loc,
                                body(emitter, args.take_front(ins.size()),
                                     args.drop_front(ins.size())));
      });
}

static SmallVector<Value> lookupAll(const IRMapping &map, ValueRange values) {
  return llvm::map_to_vector(values,
                             [&](Value value) { return map.lookup(value); });
}

/// The scalar maths: what elements read of it, then the states of rank 0, in
/// place. Adds what it makes to `inner`.
static void writeScalars(ImplicitLocOpBuilder &b, const UpdateSlice &slice,
                         const ScalarUses &uses, IRMapping &inner,
                         IRMapping &nexts) {
  SmallVector<Value> args, values, outs;
  for (Value value : uses.made) {
    values.push_back(value);
    outs.push_back(tensor::EmptyOp::create(
        b, ArrayRef<int64_t>{}, getElementTypeOrSelf(value.getType())));
  }
  for (const Carried &state : slice.carried)
    if (isScalarLike(state.arg.getType())) {
      args.push_back(state.arg);
      values.push_back(state.next);
      outs.push_back(inner.lookup(state.arg));
    }
  if (outs.empty())
    return;
  auto generic = createElementwise(
      b, lookupAll(inner, uses.ofScalars.getArrayRef()), outs,
      [&](BodyEmitter &emitter, ValueRange in, ValueRange out) {
        emitter.define(uses.ofScalars.getArrayRef(), in);
        emitter.define(args, out.take_back(args.size()));
        return llvm::map_to_vector(
            values, [&](Value value) { return emitter.get(value); });
      });
  ValueRange results = generic.getResults();
  nexts.map(args, results.take_back(args.size()));
  inner.map(uses.made.getArrayRef(), results.drop_back(args.size()));
}

/// The one elementwise op. Scalars reach it as such, not as tensors: read once,
/// and no elementwise fusion can move their maths into the loop.
static void writeElements(ImplicitLocOpBuilder &b, const UpdateSlice &slice,
                          const ScalarUses &uses, IRMapping &inner,
                          IRMapping &nexts) {
  SmallVector<Value> read(slice.gradients.getArrayRef());
  SmallVector<Value> ins = lookupAll(inner, read);
  for (const auto *scalars : {&uses.ofElements, &uses.made})
    for (Value scalar : *scalars) {
      read.push_back(scalar);
      ins.push_back(tensor::ExtractOp::create(b, inner.lookup(scalar)));
    }
  SmallVector<Value> args, values;
  for (const Carried &value : slice.carried)
    if (isScalarParam(slice) || !isScalarLike(value.arg.getType())) {
      args.push_back(value.arg);
      values.push_back(value.next);
    }
  auto generic = createElementwise(
      b, ins, lookupAll(inner, args),
      [&](BodyEmitter &emitter, ValueRange in, ValueRange out) {
        emitter.define(read, in);
        emitter.define(args, out);
        return llvm::map_to_vector(
            values, [&](Value value) { return emitter.get(value); });
      });
  nexts.map(args, generic.getResults());
}

/// Clones `op` and the constants, empty tensors and splats it stands on.
static void cloneWithSources(OpBuilder &b, Operation *op, IRMapping &map) {
  for (Value operand : getValuesRead(op))
    if (!map.contains(operand))
      cloneWithSources(b, operand.getDefiningOp(), map);
  for (Value operand : op->getOperands())
    if (!map.contains(operand))
      cloneWithSources(b, operand.getDefiningOp(), map);
  b.clone(*op, map);
}

static void copySlice(ImplicitLocOpBuilder &b, const UpdateSlice &slice,
                      IRMapping &inner, IRMapping &nexts) {
  for (Value scalar : slice.scalars)
    if (!isa<ShapedType>(scalar.getType()))
      inner.map(scalar,
                tensor::ExtractOp::create(b, inner.lookup(scalar)).getResult());
  for (Operation *op : slice.ops)
    if (!inner.contains(op->getResult(0)))
      cloneWithSources(b, op, inner);
  for (const Carried &value : slice.carried) {
    if (!inner.contains(value.next))
      cloneWithSources(b, value.next.getDefiningOp(), inner);
    nexts.map(value.arg, inner.lookup(value.next));
  }
}

/// An update needs tensors: a scalar becomes one right where it is made, so
/// that the update can move up to it.
static Value asTensor(OpBuilder &b, Value scalar) {
  if (isa<ShapedType>(scalar.getType()))
    return scalar;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(scalar);
  return tensor::FromElementsOp::create(
      b, scalar.getLoc(), RankedTensorType::get({}, scalar.getType()), scalar);
}

static void replaceSlice(const UpdateSlice &slice, UpdateOp update) {
  Block *block = update->getBlock();
  for (auto [value, next] : llvm::zip(slice.carried, update.getResults())) {
    block->getTerminator()->setOperand(value.result, next);
    if (!slice.contains(value.next.getDefiningOp()) ||
        getConstantElement(lookThroughSplats(value.next)))
      continue;
    Value(value.next).replaceUsesWithIf(next, [&](OpOperand &use) {
      return !slice.contains(block->findAncestorOpInBlock(*use.getOwner()));
    });
  }
  for (Operation *op : llvm::reverse(slice.ops))
    if (op->use_empty())
      op->erase();
}

UpdateOp plait::writeUpdate(const UpdateSlice &slice) {
  ImplicitLocOpBuilder b(slice.carried.front().next.getLoc(), slice.position);
  SmallVector<Value> read(slice.gradients.getArrayRef()), inputs, outputs, args;
  llvm::append_range(read, slice.scalars);
  for (Value value : read)
    inputs.push_back(asTensor(b, value));
  for (const Carried &value : slice.carried)
    args.push_back(value.arg);
  outputs = args;
  auto update = UpdateOp::create(b, ValueRange(outputs).getTypes(), "raised",
                                 inputs, outputs);
  Block *body = b.createBlock(&update.getBody());
  IRMapping inner, nexts;
  llvm::append_range(read, args);
  for (auto [outer, operand] : llvm::zip(read, update->getOperands()))
    inner.map(outer, body->addArgument(operand.getType(), operand.getLoc()));
  if (slice.needsWholeTensor) {
    copySlice(b, slice, inner, nexts);
  } else {
    ScalarUses uses = collectScalars(slice);
    if (!isScalarParam(slice))
      writeScalars(b, slice, uses, inner, nexts);
    writeElements(b, slice, uses, inner, nexts);
  }
  YieldOp::create(b, lookupAll(nexts, args));
  replaceSlice(slice, update);
  return update;
}
