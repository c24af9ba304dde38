//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Omit barriers: threads that leave a parallel region wait for each other, so a
// loop at its end need not wait before. Two barriers instead of one were half a
// microsecond of each loop, of which a small layer has several.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"

#include "mlir/Dialect/OpenMP/OpenMPDialect.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINOMITBARRIERS
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
struct OmitBarriers : plait::impl::TrainOmitBarriersBase<OmitBarriers> {
  void runOnOperation() override {
    getOperation()->walk([](omp::WsloopOp loop) {
      auto parallel = dyn_cast<omp::ParallelOp>(loop->getParentOp());
      if (parallel && isa<omp::TerminatorOp>(loop->getNextNode()))
        loop.setNowait(true);
    });
  }
};
} // namespace
