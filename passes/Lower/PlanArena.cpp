//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Plan arena: every buffer of a step gets a place in one block of bytes, by
// static liveness, so that nothing is allocated in a step. Most of what
// "optimizer in backward" wins elsewhere is page faults of fresh gradients.
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINPLANARENA
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
constexpr int64_t kAlignment = 64;

/// A buffer: when it is alive (positions of ops in the function's block, both
/// ends included), how big it is, and where it is put.
struct Buffer {
  memref::AllocOp alloc;
  int64_t first, last, bytes, offset = -1;
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

/// The last position where `value`, or anything that aliases it, is used.
static int64_t lastUse(Value value, Block *block,
                       const DenseMap<Operation *, int64_t> &position) {
  int64_t last = 0;
  SmallVector<Value> worklist = {value};
  llvm::DenseSet<Value> seen;
  while (!worklist.empty()) {
    Value next = worklist.pop_back_val();
    if (!seen.insert(next).second)
      continue;
    for (Operation *user : next.getUsers()) {
      last = std::max(last, position.lookup(block->findAncestorOpInBlock(*user)));
      // Conservative: any memref result of a user may alias it, and so may the
      // results of an op whose region yields it.
      Operation *holder = user->hasTrait<OpTrait::IsTerminator>() &&
                                  user->getBlock() != block
                              ? user->getParentOp()
                              : user;
      for (Value result : holder->getResults())
        if (isa<BaseMemRefType>(result.getType()))
          worklist.push_back(result);
    }
  }
  return last;
}

/// First fit, largest first.
static int64_t place(SmallVectorImpl<Buffer> &buffers) {
  SmallVector<Buffer *> order;
  for (Buffer &buffer : buffers)
    order.push_back(&buffer);
  llvm::stable_sort(order, [](Buffer *a, Buffer *b) { return a->bytes > b->bytes; });
  int64_t total = 0;
  for (Buffer *buffer : order) {
    SmallVector<Buffer *> taken;
    for (Buffer *other : order)
      if (other->offset >= 0 && other->meets(*buffer))
        taken.push_back(other);
    llvm::sort(taken, [](Buffer *a, Buffer *b) { return a->offset < b->offset; });
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

/// Tile-sized buffers of a parallel iteration live on the thread's stack.
static LogicalResult toStack(FunctionOpInterface fn) {
  constexpr int64_t kMaxStackBytes = 1 << 21;
  SmallVector<memref::AllocOp> allocs;
  fn.walk([&](memref::AllocOp op) {
    if (op->getParentOp() != fn)
      allocs.push_back(op);
  });
  for (memref::AllocOp op : allocs) {
    if (!op.getType().hasStaticShape() || bytesOf(op.getType()) > kMaxStackBytes)
      return op.emitError("a buffer of a loop iteration must be static and at "
                          "most 2 MiB; use smaller panels");
    OpBuilder b(op);
    auto alloca = memref::AllocaOp::create(b, op.getLoc(), op.getType());
    alloca.setAlignment(kAlignment);
    op.replaceAllUsesWith(alloca.getResult());
    op.erase();
  }
  fn.walk([](memref::DeallocOp op) { op.erase(); });
  return success();
}

static LogicalResult planArena(FunctionOpInterface fn) {
  if (failed(toStack(fn)))
    return failure();
  Block *block = &fn.getFunctionBody().front();
  DenseMap<Operation *, int64_t> position;
  for (auto [i, op] : llvm::enumerate(*block))
    position[&op] = i;
  SmallVector<Buffer> buffers;
  for (auto alloc : block->getOps<memref::AllocOp>()) {
    if (!alloc.getType().hasStaticShape())
      return alloc.emitError("has a dynamic shape; a step's buffers must be "
                             "known at compile time");
    buffers.push_back({alloc, position[alloc],
                       lastUse(alloc, block, position), bytesOf(alloc.getType())});
  }
  int64_t total = place(buffers);
  OpBuilder b(fn.getContext());
  auto arenaType = MemRefType::get({total}, b.getI8Type());
  unsigned index = fn.getNumArguments();
  (void)fn.insertArgument(index, arenaType, {}, fn.getLoc());
  Value arena = fn.getArgument(index);
  for (Buffer &buffer : buffers) {
    b.setInsertionPoint(buffer.alloc);
    Location loc = buffer.alloc.getLoc();
    Value offset = arith::ConstantIndexOp::create(b, loc, buffer.offset);
    Value view = memref::ViewOp::create(b, loc, buffer.alloc.getType(), arena,
                                        offset, ValueRange());
    buffer.alloc.replaceAllUsesWith(view);
    buffer.alloc.erase();
  }
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
