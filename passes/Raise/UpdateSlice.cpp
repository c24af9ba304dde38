//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Update slices: walk back from next values through ops that work element by
// element, and keep those that serve nothing else. Nothing here knows an
// optimizer; a gradient is simply what the walk cannot take in.
//
//===----------------------------------------------------------------------===//

#include "UpdateSlice.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace plait;

using OpSet = DenseSet<Operation *>;
using Absorbs = llvm::function_ref<bool(Operation *)>;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

bool plait::isScalarLike(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  return !shaped || (shaped.hasRank() && shaped.getRank() == 0);
}

/// The operand that every element of the op's result is, if it only copies.
static Value copiedOperand(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics() || op->getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops())
    return {};
  Operation *yield = op.getBlock()->getTerminator();
  Value yielded = yield->getOperand(0);
  auto arg = dyn_cast<BlockArgument>(yielded);
  if (!arg || arg.getOwner() != op.getBlock())
    // A captured scalar, or a constant that stands in the body.
    return matchPattern(yielded, m_Constant()) ||
                   yielded.getParentRegion() != &op->getRegion(0)
               ? yielded
               : Value();
  return op.getOpOperandsMatchingBBargs()[arg.getArgNumber()]->get();
}

Value plait::lookThroughSplats(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def)
    return value;
  Value source;
  if (auto op = dyn_cast<linalg::LinalgOp>(def))
    source = copiedOperand(op);
  else if (auto op = dyn_cast<tensor::SplatOp>(def))
    source = op.getInput();
  else if (auto op = dyn_cast<tensor::ExtractOp>(def))
    source = op.getIndices().empty() ? op.getTensor() : Value();
  else if (auto op = dyn_cast<tensor::FromElementsOp>(def))
    source = op.getType().getRank() == 0 ? op.getElements().front() : Value();
  if (!source)
    return value;
  // A copy or a permutation of a tensor is no splat.
  source = lookThroughSplats(source);
  return isScalarLike(source.getType()) || getConstantElement(source) ? source
                                                                      : value;
}

TypedAttr plait::getConstantElement(Value value) {
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return {};
  if (!isa<ShapedType>(value.getType()))
    return dyn_cast<TypedAttr>(attr);
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  return dense && dense.isSplat() ? dense.getSplatValue<TypedAttr>()
                                  : TypedAttr();
}

/// Whether every element of `value` is one scalar.
static bool isSplat(Value value) {
  Value source = lookThroughSplats(value);
  return isScalarLike(source.getType()) || getConstantElement(source);
}

SmallVector<Value> plait::getValuesRead(Operation *op) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  SmallVector<Value> values;
  for (OpOperand &operand : op->getOpOperands())
    if (!linalgOp || !linalgOp.isDpsInit(&operand) ||
        linalgOp.payloadUsesValueFromOperand(&operand))
      values.push_back(operand.get());
  op->walk([&](Operation *inner) {
    if (inner == op)
      return;
    for (Value operand : inner->getOperands())
      if (!op->isAncestor(operand.getParentRegion()->getParentOp()))
        values.push_back(operand);
  });
  return values;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// Whether the body computes with scalars alone.
static bool hasScalarBody(linalg::LinalgOp op) {
  if (op.hasIndexSemantics())
    return false;
  return llvm::all_of(op.getBlock()->without_terminator(), [](Operation &in) {
    return isPure(&in) && in.getNumRegions() == 0 &&
           llvm::none_of(in.getOperandTypes(), llvm::IsaPred<ShapedType>);
  });
}

static bool hasShape(Type type, ArrayRef<int64_t> shape) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getShape() == shape;
}

/// Whether each operand is read at the loops' own index, or is a scalar.
static bool readsIdentityOrScalars(linalg::LinalgOp op,
                                   ArrayRef<int64_t> shape) {
  for (OpOperand &operand : op->getOpOperands()) {
    bool own = hasShape(operand.get().getType(), shape) &&
               op.getMatchingIndexingMap(&operand).isIdentity();
    if (op.isDpsInit(&operand)) {
      // The destination of a reduction is checked by the caller.
      if (!own && op.getNumParallelLoops() == op.getNumLoops())
        return false;
      continue;
    }
    if (!own && !isSplat(operand.get()))
      return false;
  }
  return true;
}

/// Element i of the results depends on elements i of operands of `shape` and on
/// scalars.
static bool isElementwise(Operation *op, ArrayRef<int64_t> shape) {
  if (!llvm::all_of(op->getResultTypes(),
                    [&](Type type) { return hasShape(type, shape); }) ||
      op->getNumResults() == 0)
    return false;
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return linalgOp.hasPureTensorSemantics() &&
           linalgOp.getNumParallelLoops() == linalgOp.getNumLoops() &&
           hasScalarBody(linalgOp) && readsIdentityOrScalars(linalgOp, shape);
  if (isa<tensor::SplatOp>(op))
    return true;
  return op->hasTrait<OpTrait::Elementwise>() && isPure(op) &&
         op->getNumRegions() == 0 &&
         llvm::all_of(op->getOperands(), [&](Value operand) {
           return hasShape(operand.getType(), shape) || isSplat(operand);
         });
}

/// Scalars in, scalars out.
static bool isScalarMaths(Operation *op) {
  if (op->getNumResults() == 0 ||
      !llvm::all_of(op->getOperandTypes(), isScalarLike) ||
      !llvm::all_of(op->getResultTypes(), isScalarLike))
    return false;
  if (isa<linalg::LinalgOp>(op))
    return isElementwise(op, {});
  return isa<tensor::ExtractOp, tensor::FromElementsOp>(op) ||
         (op->hasTrait<OpTrait::Elementwise>() && isPure(op) &&
          op->getNumRegions() == 0);
}

/// A tensor of `shape` reduced to a scalar: a norm.
static bool isReductionToScalar(Operation *op, ArrayRef<int64_t> shape) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp && linalgOp.hasPureTensorSemantics() &&
         linalgOp.getNumLoops() != 0 && linalgOp.getNumParallelLoops() == 0 &&
         llvm::all_of(op->getResultTypes(), isScalarLike) &&
         hasScalarBody(linalgOp) && readsIdentityOrScalars(linalgOp, shape);
}

bool plait::isConstantMaths(Value value) {
  value = lookThroughSplats(value);
  if (getConstantElement(value))
    return true;
  Operation *def = value.getDefiningOp();
  return def && isScalarMaths(def) &&
         llvm::all_of(getValuesRead(def), isConstantMaths);
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

/// Everything that `absorbs` takes in, back from `starts`, in their block.
static OpSet walkBack(ArrayRef<Value> starts, Absorbs absorbs) {
  OpSet reached;
  SmallVector<Value> worklist(starts);
  while (!worklist.empty()) {
    Operation *def = worklist.pop_back_val().getDefiningOp();
    if (!def || !absorbs(def) || !reached.insert(def).second)
      continue;
    llvm::append_range(worklist, getValuesRead(def));
  }
  return reached;
}

static SmallVector<Operation *> inProgramOrder(const OpSet &ops) {
  SmallVector<Operation *> sorted(ops.begin(), ops.end());
  llvm::sort(sorted,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return sorted;
}

/// The ops of `reached` of whose results, `starts` apart, only the others
/// know. Users come after what they use, so one sweep from the end will do.
static OpSet close(const OpSet &reached, const DenseSet<Value> &starts) {
  OpSet inside;
  SmallVector<Operation *> sorted = inProgramOrder(reached);
  for (Operation *op : llvm::reverse(sorted)) {
    bool closed = llvm::all_of(op->getResults(), [&](Value result) {
      return starts.contains(result) ||
             llvm::all_of(result.getUsers(), [&](Operation *user) {
               return inside.contains(
                   op->getBlock()->findAncestorOpInBlock(*user));
             });
    });
    if (closed)
      inside.insert(op);
  }
  return inside;
}

DenseSet<Operation *> plait::findClosedOps(ArrayRef<Value> nexts) {
  OpSet reached =
      walkBack(nexts, [](Operation *op) { return isMemoryEffectFree(op); });
  return close(reached, DenseSet<Value>(nexts.begin(), nexts.end()));
}

llvm::SetVector<BlockArgument> plait::elementwiseReads(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  OpSet reached = walkBack({value}, [&](Operation *op) {
    return isElementwise(op, type.getShape()) || isScalarMaths(op);
  });
  llvm::SetVector<BlockArgument> args;
  for (Operation *op : inProgramOrder(reached))
    for (Value read : getValuesRead(op))
      if (auto arg = dyn_cast<BlockArgument>(read))
        args.insert(arg);
  return args;
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

bool UpdateSlice::contains(Operation *op) const {
  return op && llvm::is_contained(ops, op);
}

static std::string describe(Operation *op) {
  std::string text;
  llvm::raw_string_ostream(text)
      << '\'' << op->getName() << "' at " << op->getLoc();
  return text;
}

/// Why no slice of a parameter of `shape` can take in `op`.
static std::string whyNotAbsorbed(Operation *op, ArrayRef<int64_t> shape) {
  std::string made = "is made by " + describe(op);
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp)
    return made + ", which is no elementwise op";
  if (linalgOp.getNumParallelLoops() != linalgOp.getNumLoops())
    return made + ", which reduces";
  if (!hasScalarBody(linalgOp))
    return made + ", whose body reads more than its own elements";
  return made + ", which permutes, or repeats, an operand";
}

/// Which next values the closed set does not make, and why.
static void findUnmade(ArrayRef<Carried> carried, const OpSet &inside,
                       ArrayRef<int64_t> shape,
                       SmallVectorImpl<Refusal> &refusals) {
  for (const Carried &value : carried) {
    Operation *def = value.next.getDefiningOp();
    if (getConstantElement(lookThroughSplats(value.next)) ||
        (def && inside.contains(def)))
      continue;
    refusals.push_back({value, def ? whyNotAbsorbed(def, shape)
                                   : "is another argument of the step"});
  }
}

/// Collects what the slice reads, in program order.
static void collectInputs(UpdateSlice &slice) {
  DenseSet<Value> own;
  for (const Carried &value : slice.carried)
    own.insert(value.arg);
  auto add = [&](Value value) {
    value = lookThroughSplats(value);
    Operation *def = value.getDefiningOp();
    if (own.contains(value) || isConstantMaths(value) || slice.contains(def))
      return;
    (isScalarLike(value.getType()) ? slice.scalars : slice.gradients)
        .insert(value);
  };
  for (Operation *op : slice.ops)
    // A splat is looked through where it is read.
    if (lookThroughSplats(op->getResult(0)) == op->getResult(0))
      for (Value read : getValuesRead(op))
        add(read);
  for (const Carried &value : slice.carried)
    add(value.next);
}

/// Sets the position: before the first user of a next value, and behind all
/// inputs. Where those orders contradict, the users are to blame: they compute
/// what the slice reads from what the slice makes.
static void findPosition(UpdateSlice &slice,
                         SmallVectorImpl<Refusal> &refusals) {
  Block *block = slice.carried.front().arg.getOwner();
  Operation *lastInput = nullptr;
  for (const auto *inputs : {&slice.gradients, &slice.scalars})
    for (Value input : *inputs)
      if (Operation *def = input.getDefiningOp())
        if (!lastInput || lastInput->isBeforeInBlock(def))
          lastInput = def;
  slice.position = block->getTerminator();
  for (const Carried &value : slice.carried) {
    Operation *def = value.next.getDefiningOp();
    if (!slice.contains(def))
      continue; // a constant has users of its own
    for (Operation *user : value.next.getUsers()) {
      user = block->findAncestorOpInBlock(*user);
      if (slice.contains(user) || !user->isBeforeInBlock(slice.position))
        continue;
      if (lastInput && !lastInput->isBeforeInBlock(user)) {
        refusals.push_back({value, "is used by " + describe(user) +
                                       ", which is not part of the update"});
        break;
      }
      slice.position = user;
    }
  }
}

FailureOr<UpdateSlice>
plait::findUpdateSlice(ArrayRef<Carried> carried, bool reductions,
                       SmallVectorImpl<Refusal> &refusals) {
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(carried.front().arg.getType()).getShape();
  SmallVector<Value> starts;
  for (const Carried &value : carried)
    starts.push_back(value.next);
  OpSet reached = walkBack(starts, [&](Operation *op) {
    return isElementwise(op, shape) || isScalarMaths(op) ||
           (reductions && isReductionToScalar(op, shape));
  });
  OpSet inside = close(reached, DenseSet<Value>(starts.begin(), starts.end()));
  findUnmade(carried, inside, shape, refusals);
  if (!refusals.empty())
    return failure();

  UpdateSlice slice;
  slice.carried.assign(carried.begin(), carried.end());
  slice.ops = inProgramOrder(inside);
  slice.needsWholeTensor = llvm::any_of(
      slice.ops, [&](Operation *op) { return isReductionToScalar(op, shape); });
  collectInputs(slice);
  findPosition(slice, refusals);
  if (!refusals.empty())
    return failure();
  if (slice.gradients.empty() && !(shape.empty() && !slice.scalars.empty())) {
    refusals.push_back({carried.front(), "reads no gradient"});
    return failure();
  }
  return slice;
}
