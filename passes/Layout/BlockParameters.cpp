//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Block parameters: gives a weight the layout that its products read, for the
// whole of a training run.
//
//===----------------------------------------------------------------------===//

#include "BlockedValues.h"
#include "Conversions.h"

#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace plait;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINBLOCKPARAMETERS
#include "plait/Passes.h.inc"
} // namespace plait

//===----------------------------------------------------------------------===//
// The choice
//===----------------------------------------------------------------------===//

/// The loop of a product that indexes dimension `dim` of `operand`.
static unsigned loopOf(OpOperand *operand, int64_t dim) {
  auto op = cast<linalg::LinalgOp>(operand->getOwner());
  return op.getMatchingIndexingMap(operand).getDimPosition(dim);
}

/// How many vectors a product multiplies the weight `operand` by: its only loop
/// that does not index it.
static int64_t countRows(OpOperand *operand) {
  auto op = cast<linalg::LinalgOp>(operand->getOwner());
  unsigned rows = 3 - loopOf(operand, 0) - loopOf(operand, 1);
  return op.getStaticLoopRanges()[rows];
}

/// The dimension whose elements become neighbours, or why there is none. It is
/// that of the lanes of the first product, the layer's forward one: a panel of
/// the weight makes a panel of the result there, and is all of it.
static std::optional<int64_t> chooseDim(const BlockedValues &blocked,
                                        int64_t block, std::string &reason) {
  // Below, a product is bound by the weight's bytes in any layout; above, copies
  // of panels cost little beside it.
  constexpr int64_t kFewest = 4, kMost = 256, kMinBytes = 1 << 16;
  OpOperand *first = nullptr;
  bool pays = false;
  for (OpOperand *operand : blocked.products) {
    auto op = cast<linalg::LinalgOp>(operand->getOwner());
    if (op.isDpsInit(operand))
      continue;
    int64_t rows = countRows(operand);
    pays |= rows >= kFewest && rows <= kMost;
    if (!first || (first->getOwner()->getBlock() == op->getBlock() &&
                   op->isBeforeInBlock(first->getOwner())))
      first = operand;
  }
  if (!first || !pays || 4 * blocked.type.getNumElements() < kMinBytes) {
    reason = "is read by no product that would win by it";
    return std::nullopt;
  }
  auto op = cast<linalg::LinalgOp>(first->getOwner());
  int64_t lanes = op.getIteratorTypesArray()[loopOf(first, 1)] ==
                  utils::IteratorType::parallel;
  for (int64_t dim : {lanes, 1 - lanes})
    if (blocked.type.getDimSize(dim) % block == 0)
      return dim;
  reason = "has no dimension that is a multiple of " + std::to_string(block);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The rewrite
//===----------------------------------------------------------------------===//

namespace {
/// A product as it was: its types change before it does.
struct OldProduct {
  linalg::LinalgOp op;
  unsigned operand; ///< the one that gets another layout
  unsigned loop;    ///< the one that is divided
  SmallVector<int64_t> ranges;
};

class Rewrite {
public:
  Rewrite(BlockedValues &blocked, int64_t dim, int64_t block)
      : blocked(blocked), dim(dim), block(block),
        type(blockedType(blocked.type, dim, block)),
        rewriter(blocked.type.getContext()) {}
  void run();

private:
  RankedTensorType withLayout(Type old) const {
    return RankedTensorType::get(type.getShape(),
                                 cast<RankedTensorType>(old).getElementType());
  }
  Value splat(Operation *op, RankedTensorType type);
  void changeElementwise(linalg::LinalgOp op);
  void changeUpdate(UpdateOpInterface update);
  void changeProduct(const OldProduct &product);
  Value divide(Value value, AffineMap map, unsigned loop, bool isInit);

  BlockedValues &blocked;
  int64_t dim, block;
  RankedTensorType type;
  IRRewriter rewriter;
};
} // namespace

/// A copy of `op`, which makes a tensor of one value, with another shape.
Value Rewrite::splat(Operation *op, RankedTensorType to) {
  Location loc = op->getLoc();
  if (auto fill = dyn_cast<linalg::FillOp>(op)) {
    Value empty = tensor::EmptyOp::create(rewriter, loc, to.getShape(),
                                          to.getElementType());
    return linalg::FillOp::create(rewriter, loc, fill.value(), empty)
        .getResult(0);
  }
  if (isa<tensor::EmptyOp>(op))
    return tensor::EmptyOp::create(rewriter, loc, to.getShape(),
                                   to.getElementType());
  auto value = cast<SplatElementsAttr>(cast<arith::ConstantOp>(op).getValue());
  return arith::ConstantOp::create(rewriter, loc, value.resizeSplat(to));
}

static AffineMap withRank(AffineMap map, unsigned rank) {
  return map.getNumResults() == 0
             ? AffineMap::get(rank, 0, map.getContext())
             : AffineMap::getMultiDimIdentityMap(rank, map.getContext());
}

/// Maps and iterators of an elementwise generic, for tensors of `rank`.
static void changeRank(linalg::GenericOp op, unsigned rank) {
  Builder b(op.getContext());
  SmallVector<AffineMap> maps;
  for (AffineMap map : op.getIndexingMapsArray())
    maps.push_back(withRank(map, rank));
  SmallVector<Attribute> kinds(
      rank, linalg::IteratorTypeAttr::get(op.getContext(),
                                          utils::IteratorType::parallel));
  op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
  op.setIteratorTypesAttr(b.getArrayAttr(kinds));
}

void Rewrite::changeElementwise(linalg::LinalgOp op) {
  rewriter.setInsertionPoint(op);
  for (OpOperand &operand : op->getOpOperands()) {
    auto old = dyn_cast<RankedTensorType>(operand.get().getType());
    if (Operation *def = operand.get().getDefiningOp();
        isSplat(def) && old && old.getRank() == 2)
      operand.set(splat(def, withLayout(old)));
  }
  if (auto generic = dyn_cast<linalg::GenericOp>(op.getOperation()))
    changeRank(generic, type.getRank());
}

/// Everything of two dimensions in the region of a general update.
void Rewrite::changeUpdate(UpdateOpInterface update) {
  auto change = [&](Value value) {
    if (auto old = dyn_cast<RankedTensorType>(value.getType());
        old && old.getShape() == blocked.type.getShape())
      value.setType(withLayout(old));
  };
  for (Region &region : update->getRegions())
    for (Value arg : region.getArguments())
      change(arg);
  update->walk([&](Operation *op) {
    if (op == update)
      return;
    bool isBlocked = false;
    for (Value result : op->getResults()) {
      change(result);
      if (auto tensor = dyn_cast<RankedTensorType>(result.getType()))
        isBlocked |= tensor.getShape() == type.getShape();
    }
    if (auto generic = dyn_cast<linalg::GenericOp>(op);
        generic && isBlocked && generic.getNumLoops() == 2)
      changeRank(generic, type.getRank());
  });
}

/// `value` with the dimension that `loop` indexes as two, if it has one.
Value Rewrite::divide(Value value, AffineMap map, unsigned loop, bool isInit) {
  auto old = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape;
  SmallVector<ReassociationIndices> groups;
  for (auto [expr, extent] : llvm::zip(map.getResults(), old.getShape())) {
    ReassociationIndices &group = groups.emplace_back();
    bool isDivided = cast<AffineDimExpr>(expr).getPosition() == loop;
    for (int64_t part : isDivided ? SmallVector<int64_t>{extent / block, block}
                                  : SmallVector<int64_t>{extent}) {
      group.push_back(shape.size());
      shape.push_back(part);
    }
  }
  auto divided = RankedTensorType::get(shape, old.getElementType());
  if (divided == old)
    return value;
  if (Operation *def = value.getDefiningOp(); isInit && isSplat(def))
    return splat(def, divided);
  return tensor::ExpandShapeOp::create(rewriter, value.getLoc(), divided, value,
                                       groups);
}

/// The same product with one loop more: the divided loop counts blocks, the new
/// one, the last, their elements.
void Rewrite::changeProduct(const OldProduct &product) {
  linalg::LinalgOp op = product.op;
  MLIRContext *context = op.getContext();
  rewriter.setInsertionPoint(op);
  AffineExpr outer = rewriter.getAffineDimExpr(product.loop);
  AffineExpr inner = rewriter.getAffineDimExpr(3);
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    Value value = operand.get();
    SmallVector<AffineExpr> exprs;
    if (operand.getOperandNumber() == product.operand) {
      exprs = {outer, map.getResult(1 - dim), inner};
      if (Operation *def = value.getDefiningOp(); isSplat(def))
        value = splat(def, type);
    } else {
      value = divide(value, map, product.loop, op.isDpsInit(&operand));
      for (AffineExpr expr : map.getResults()) {
        exprs.push_back(expr);
        if (expr == outer)
          exprs.push_back(inner);
      }
    }
    operands.push_back(value);
    maps.push_back(AffineMap::get(4, 0, exprs, context));
  }
  auto kinds = op.getIteratorTypesArray();
  kinds.push_back(kinds[product.loop]);
  auto generic = linalg::GenericOp::create(
      rewriter, op.getLoc(), operands[2].getType(),
      ArrayRef(operands).take_front(2), operands[2], maps, kinds);
  rewriter.cloneRegionBefore(op->getRegion(0), generic.getRegion(),
                             generic.getRegion().begin());
  Value result = generic.getResult(0);
  if (product.operand != 2 && maps[2].getNumResults() == 3) {
    bool isFirst = op.getIndexingMapsArray()[2].getResult(0) == outer;
    SmallVector<ReassociationIndices> groups = {{0}, {1, 2}};
    if (isFirst)
      groups = {{0, 1}, {2}};
    result =
        tensor::CollapseShapeOp::create(rewriter, op.getLoc(), result, groups);
  }
  rewriter.replaceOp(op, result);
}

void Rewrite::run() {
  SmallVector<OldProduct> products;
  for (OpOperand *operand : blocked.products) {
    auto op = cast<linalg::LinalgOp>(operand->getOwner());
    products.push_back({op, operand->getOperandNumber(), loopOf(operand, dim),
                        op.getStaticLoopRanges()});
  }
  for (Value value : blocked.values)
    value.setType(withLayout(value.getType()));
  for (linalg::LinalgOp op : blocked.elementwise)
    changeElementwise(op);
  for (UpdateOpInterface update : blocked.updates)
    changeUpdate(update);
  SmallVector<BlockArgument> args;
  for (Value value : blocked.values)
    if (auto arg = dyn_cast<BlockArgument>(value))
      args.push_back(arg);
  for (const OldProduct &product : products)
    changeProduct(product);
  Builder b(type.getContext());
  for (BlockArgument arg : args) {
    auto fn = cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
    fn.setArgAttr(arg.getArgNumber(), TrainDialect::kBlockedDimAttr,
                  b.getI64IntegerAttr(dim));
    Block &body = fn.getFunctionBody().front();
    fn.setType(fn.cloneTypeWith(
        TypeRange(body.getArgumentTypes()),
        TypeRange(fn.getFunctionBody().back().getTerminator()->getOperands())));
  }
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

static void report(BlockArgument param, StringRef name, const Twine &text,
                   bool isBlocked) {
  auto opts = remark::RemarkOpts::name("layout")
                  .category("train-block-parameters")
                  .function(name);
  std::string message = ("parameter \"" + name + "\" " + text).str();
  if (isBlocked)
    remark::passed(param.getLoc(), opts) << message;
  else
    remark::missed(param.getLoc(), opts) << message;
}

LogicalResult plait::blockParameters(ModuleOp module, int64_t block) {
  llvm::SetVector<StringAttr> seen;
  llvm::SmallSetVector<std::pair<Type, int64_t>, 4> converted;
  SmallVector<BlockArgument> params;
  for (auto fn : module.getOps<FunctionOpInterface>())
    if (isTrainingStep(fn) && !fn.isExternal())
      for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i)
        if (isa_and_nonnull<ParamAttr>(getArgRole(fn, i)))
          params.push_back(fn.getArgument(i));
  for (BlockArgument param : params) {
    auto fn = cast<FunctionOpInterface>(param.getOwner()->getParentOp());
    auto role = cast<ParamAttr>(getArgRole(fn, param.getArgNumber()));
    if (seen.contains(role.getName()))
      continue;
    BlockedValues blocked;
    std::string reason;
    LogicalResult collected = blocked.collect(module, param, reason);
    seen.insert(role.getName());
    seen.insert_range(blocked.params);
    std::optional<int64_t> dim;
    if (succeeded(collected))
      dim = chooseDim(blocked, block, reason);
    if (!dim) {
      report(param, role.getName(), "stays row-major: it " + reason, false);
      continue;
    }
    if (converted.insert({blocked.type, *dim}) &&
        failed(addConversions(module, blocked.type, *dim, block)))
      return failure();
    report(param, role.getName(),
           "has blocks of " + Twine(block) + " along dimension " + Twine(*dim),
           true);
    Rewrite(blocked, *dim, block).run();
  }
  return success();
}

namespace {
struct BlockParameters
    : plait::impl::TrainBlockParametersBase<BlockParameters> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    if (block > 1)
      return success();
    return emitError(UnknownLoc::get(context))
           << "train-block-parameters: block must be above 1, not "
           << int64_t(block);
  }

  void runOnOperation() override {
    if (failed(blockParameters(getOperation(), block)))
      signalPassFailure();
  }
};
} // namespace
