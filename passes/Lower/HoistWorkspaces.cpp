//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Hoist workspaces: tile-sized stack buffers are taken once per thread, not
// once per iteration. It also lets the alloca_scope that OpenMP conversion
// leaves around each iteration fold away; it cannot survive the way to cf.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINHOISTWORKSPACES
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
struct HoistWorkspaces
    : plait::impl::TrainHoistWorkspacesBase<HoistWorkspaces> {
  void runOnOperation() override {
    SmallVector<memref::AllocaOp> allocas;
    getOperation()->walk([&](memref::AllocaOp op) {
      if (op.getType().hasStaticShape() && op->getNumOperands() == 0)
        allocas.push_back(op);
    });
    for (memref::AllocaOp op : allocas) {
      Block *target = nullptr;
      if (auto parallel = op->getParentOfType<omp::ParallelOp>())
        target = &parallel.getRegion().front();
      else if (auto fn = op->getParentOfType<FunctionOpInterface>())
        target = &fn.getFunctionBody().front();
      if (target && target != op->getBlock())
        op->moveBefore(&target->front());
    }
  }
};
} // namespace
