//===- LowerContractions.cpp - Loops for matrix products ------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Replaces bufferized f32 contractions by packed, register-tiled loops. This
// file only finds the ops and reports the ones that stay: ContractionPlan
// decides roles and sizes, ContractionEmitter writes the loops. Whether a
// contraction should be fused with something else has been decided before.
//
//===----------------------------------------------------------------------===//

#include "LowerContractions.h"
#include "ContractionEmitter.h"
#include "ContractionPlan.h"
#include "DotEmitter.h"
#include "Epilogue.h"
#include "SplitEmitter.h"
#include "Workspace.h"

#include "plait/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Pass/Pass.h"

namespace plait {
#define GEN_PASS_DEF_TRAINLOWERCONTRACTIONS
#include "plait/Passes.h.inc"
} // namespace plait

using namespace mlir;
using namespace plait;

/// Returns the fill that gives the accumulator of `op` its initial value, if
/// nothing can read or write memory in between. For a product with few steps,
/// such as a weight gradient at a small batch, the fill costs as much as the
/// product.
static linalg::FillOp findInitialFill(linalg::LinalgOp op) {
  Value acc = op.getDpsInits()[0];
  for (Operation *prev = op->getPrevNode(); prev; prev = prev->getPrevNode()) {
    if (auto fill = dyn_cast<linalg::FillOp>(prev)) {
      bool isInit = fill.hasPureBufferSemantics() && fill.output() == acc &&
                    fill.value().getType().isF32();
      return isInit ? fill : linalg::FillOp();
    }
    if (!isMemoryEffectFree(prev))
      return {};
  }
  return {};
}

LogicalResult plait::lowerContraction(RewriterBase &rewriter,
                                      linalg::LinalgOp op,
                                      const ContractionTarget &target) {
  StringRef reason;
  FailureOr<Contraction> contraction = matchContraction(op, reason);
  if (failed(contraction)) {
    remark::missed(op.getLoc(), remark::RemarkOpts::name("LowerContractions")
                                    .category("train-lower-contractions"))
        << ("contraction not lowered: " + reason).str();
    return rewriter.notifyMatchFailure(op, reason);
  }
  linalg::FillOp fill = findInitialFill(op);
  if (fill)
    contraction->init = fill.value();
  contraction->epilogue = findEpilogue(op);
  if (contraction->epilogue)
    contraction->collapseAcc(findSums(contraction->epilogue, op));
  rewriter.setInsertionPoint(op);
  bool isNested = isInParallelLoop(op->getBlock());
  auto split = op->getAttrOfType<IntegerAttr>(kSplitAttr);
  auto dot = op->getAttrOfType<IntegerAttr>(kDotAttr);
  if (dot)
    emitDots(rewriter, op.getLoc(), *contraction, target, dot.getInt(),
             isNested);
  else if (split)
    emitSplit(rewriter, op.getLoc(), *contraction, target, split.getInt(),
              isNested);
  else {
    ContractionTarget here = target;
    here.parallel &= !isNested;
    emitContraction(rewriter, op.getLoc(), planContraction(*contraction, here),
                    here);
  }
  if (contraction->epilogue)
    rewriter.eraseOp(contraction->epilogue);
  rewriter.eraseOp(op);
  if (fill)
    rewriter.eraseOp(fill);
  return success();
}

void plait::lowerContractions(Operation *root,
                              const ContractionTarget &target) {
  SmallVector<linalg::LinalgOp> candidates;
  root->walk([&](linalg::LinalgOp op) {
    if (isContractionCandidate(op))
      candidates.push_back(op);
  });
  IRRewriter rewriter(root->getContext());
  for (linalg::LinalgOp op : candidates)
    (void)lowerContraction(rewriter, op, target);
}

namespace {
struct TrainLowerContractions
    : plait::impl::TrainLowerContractionsBase<TrainLowerContractions> {
  using TrainLowerContractionsBase::TrainLowerContractionsBase;

  void runOnOperation() override {
    if (registerRows < 1 || blockM < 1 || blockN < 1 || blockK < 1 ||
        registerCols < 2 || !llvm::isPowerOf2_64(registerCols)) {
      getOperation()->emitError("block and register sizes must be positive, and"
                                " register-cols a power of two");
      return signalPassFailure();
    }
    lowerContractions(getOperation(), {registerRows, registerCols, blockM,
                                       blockN, blockK, parallel});
  }
};
} // namespace
