//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Subscripts.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;

SmallVector<Value> plait::subscripts(OpBuilder &b, Location loc, AffineMap map,
                                     ValueRange loops) {
  SmallVector<Value> indices;
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    indices.push_back(getValueOrCreateConstantIndexOp(
        b, loc,
        affine::makeComposedFoldedAffineApply(b, loc, map.getSubMap({i}),
                                              getAsOpFoldResult(loops))));
  return indices;
}

bool plait::isUnitStrideAlong(AffineMap map, unsigned loop) {
  if (map.getNumResults() == 0)
    return false;
  AffineExpr rest = simplifyAffineExpr(
      map.getResults().back() - getAffineDimExpr(loop, map.getContext()),
      map.getNumDims(), map.getNumSymbols());
  return !rest.isFunctionOfDim(loop) &&
         llvm::none_of(map.getResults().drop_back(), [&](AffineExpr expr) {
           return expr.isFunctionOfDim(loop);
         });
}
