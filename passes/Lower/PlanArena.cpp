//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Plan arena: every buffer of a step gets a place in one block of bytes, by
// static liveness, so that nothing is allocated in a step. What a sequential
// loop or a branch needs is planned within, and is one buffer to the outside. Most of what
// "optimizer in backward" wins elsewhere is page faults of fresh gradients.
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include <vector>

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINPLANARENA
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
constexpr int64_t kAlignment = 64;

/// A buffer, or all buffers of an op's regions: when it is alive (positions of
/// ops in its block, both ends included), how big it is, and where it is put,
/// relative to the place of its block.
struct Buffer {
  memref::AllocOp alloc;
  int64_t first, last, bytes, offset = -1;
  std::vector<Buffer> inner = {};
  bool meets(const Buffer &other) const {
    return first <= other.last && other.first <= last;
  }
};
} // namespace

static int64_t bytesOf(MemRefType type) {
  int64_t bits = std::max<int64_t>(8, type.getElementTypeBitWidth());
  int64_t bytes = type.getNumElements() * bits / 8;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// All uses of `value` and of what may alias it. Conservative: any memref
/// result of a user may, and so may the results of an op whose region yields it.
static SmallVector<Operation *> usersOfAliases(Value value) {
  SmallVector<Operation *> users;
  SmallVector<Value> worklist = {value};
  llvm::DenseSet<Value> seen;
  while (!worklist.empty()) {
    Value next = worklist.pop_back_val();
    if (!seen.insert(next).second)
      continue;
    for (Operation *user : next.getUsers()) {
      users.push_back(user);
      bool yields = user->hasTrait<OpTrait::IsTerminator>() &&
                    !isa<FunctionOpInterface>(user->getParentOp());
      for (Value result : (yields ? user->getParentOp() : user)->getResults())
        if (isa<BaseMemRefType>(result.getType()))
          worklist.push_back(result);
    }
  }
  return users;
}

/// The last position where `value`, or anything that aliases it, is used.
static int64_t lastUse(Value value, Block *block,
                       const DenseMap<Operation *, int64_t> &position) {
  int64_t last = 0;
  for (Operation *user : usersOfAliases(value))
    last = std::max(last, position.lookup(block->findAncestorOpInBlock(*user)));
  return last;
}

/// First fit, largest first.
static int64_t place(std::vector<Buffer> &buffers) {
  SmallVector<Buffer *> order;
  for (Buffer &buffer : buffers)
    order.push_back(&buffer);
  llvm::stable_sort(order,
                    [](Buffer *a, Buffer *b) { return a->bytes > b->bytes; });
  int64_t total = 0;
  for (Buffer *buffer : order) {
    SmallVector<Buffer *> taken;
    for (Buffer *other : order)
      if (other->offset >= 0 && other->meets(*buffer))
        taken.push_back(other);
    llvm::sort(taken,
               [](Buffer *a, Buffer *b) { return a->offset < b->offset; });
    int64_t offset = 0;
    for (Buffer *other : taken) {
      if (offset + buffer->bytes <= other->offset)
        break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    buffer->offset = offset;
    total = std::max(total, offset + buffer->bytes);
  }
  return total;
}

static bool isParallel(Operation *op) {
  return isa<scf::ForallOp, scf::ParallelOp>(op);
}

/// Tile-sized buffers of a parallel iteration live on the thread's stack.
static LogicalResult toStack(memref::AllocOp op) {
  constexpr int64_t kMaxStackBytes = 1 << 21;
  if (!op.getType().hasStaticShape() || bytesOf(op.getType()) > kMaxStackBytes)
    return op.emitError("a buffer of a loop iteration must be static and at "
                        "most 2 MiB; use smaller panels");
  OpBuilder b(op);
  auto alloca = memref::AllocaOp::create(b, op.getLoc(), op.getType());
  alloca.setAlignment(kAlignment);
  op.replaceAllUsesWith(alloca.getResult());
  op.erase();
  return success();
}

/// Moves a buffer out of every branch that yields it.
static LogicalResult leaveBranches(FunctionOpInterface fn, memref::AllocOp op) {
  SmallVector<Operation *> users = usersOfAliases(op);
  while (op->getParentOp() != fn) {
    bool leaves = llvm::is_contained(users, op->getBlock()->getTerminator());
    if (leaves && isa<LoopLikeOpInterface>(op->getParentOp()))
      return op.emitError(
          "a loop carries this buffer, which each iteration "
          "allocates anew; run train-materialize-regions before "
          "bufferization");
    if (!leaves)
      break;
    op->moveBefore(op->getParentOp());
  }
  return success();
}

/// Puts each buffer where it is planned. False if one has a dynamic shape.
static LogicalResult settle(FunctionOpInterface fn) {
  SmallVector<memref::AllocOp> allocs;
  fn.walk([&](memref::AllocOp op) { allocs.push_back(op); });
  for (memref::AllocOp op : allocs) {
    Operation *parent = op->getParentOp();
    while (parent != fn && !isParallel(parent))
      parent = parent->getParentOp();
    if (parent != fn) {
      if (failed(toStack(op)))
        return failure();
      continue;
    }
    if (!op.getType().hasStaticShape())
      return op.emitError("has a dynamic shape; a step's buffers must be "
                          "known at compile time");
    if (failed(leaveBranches(fn, op)))
      return failure();
  }
  fn.walk([](memref::DeallocOp op) { op.erase(); });
  return success();
}

/// Plans the buffers of a block and, as one buffer, those of each op's regions.
static int64_t planBlock(Block *block, std::vector<Buffer> &buffers) {
  DenseMap<Operation *, int64_t> position;
  for (auto [i, op] : llvm::enumerate(*block))
    position[&op] = i;
  for (Operation &op : *block) {
    int64_t now = position[&op];
    if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
      // A scalar, as of a bias correction, has its place for itself: an update
      // would wait for the one before, which reads its own there, and could not
      // run beside other loops (train-side-by-side).
      bool isScalar = alloc.getType().getRank() == 0;
      int64_t end = block->getOperations().size();
      buffers.push_back({alloc, isScalar ? 0 : now,
                         isScalar ? end : lastUse(alloc, block, position),
                         bytesOf(alloc.getType())});
      continue;
    }
    for (Region &region : op.getRegions())
      for (Block &inner : region) {
        Buffer all = {nullptr, now, now, 0};
        all.bytes = planBlock(&inner, all.inner);
        if (all.bytes)
          buffers.push_back(std::move(all));
      }
  }
  return place(buffers);
}

static void replaceByViews(ArrayRef<Buffer> buffers, Value arena,
                           int64_t base) {
  for (const Buffer &buffer : buffers) {
    int64_t start = base + buffer.offset;
    replaceByViews(buffer.inner, arena, start);
    memref::AllocOp alloc = buffer.alloc;
    if (!alloc)
      continue;
    OpBuilder b(alloc);
    Location loc = alloc.getLoc();
    Value offset = arith::ConstantIndexOp::create(b, loc, start);
    Value view = memref::ViewOp::create(b, loc, alloc.getType(), arena, offset,
                                        ValueRange());
    alloc.replaceAllUsesWith(view);
    alloc.erase();
  }
}

static LogicalResult planArena(FunctionOpInterface fn) {
  if (failed(settle(fn)))
    return failure();
  std::vector<Buffer> buffers;
  int64_t total = planBlock(&fn.getFunctionBody().front(), buffers);
  Builder b(fn.getContext());
  auto arenaType = MemRefType::get({total}, b.getI8Type());
  unsigned index = fn.getNumArguments();
  (void)fn.insertArgument(index, arenaType, {}, fn.getLoc());
  replaceByViews(buffers, fn.getArgument(index), 0);
  fn->setAttr("plait.arena_bytes", b.getI64IntegerAttr(total));
  return success();
}

namespace {
struct PlanArena : plait::impl::TrainPlanArenaBase<PlanArena> {
  void runOnOperation() override {
    getOperation()->walk([&](FunctionOpInterface fn) {
      if (!fn.isExternal() && failed(planArena(fn)))
        signalPassFailure();
    });
  }
};
} // namespace
