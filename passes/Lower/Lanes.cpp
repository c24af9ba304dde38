//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

Value plait::halveLanes(OpBuilder &b, Location loc, Value lanes,
                        function_ref<Value(Value, Value)> combine) {
  for (int64_t half = cast<VectorType>(lanes.getType()).getNumElements() / 2;
       half > 0; half /= 2) {
    auto part = [&](int64_t from) -> Value {
      return vector::ShuffleOp::create(
          b, loc, lanes, lanes, llvm::to_vector(llvm::seq(from, from + half)));
    };
    Value low = part(0);
    lanes = combine(low, part(half));
  }
  return vector::ExtractOp::create(b, loc, lanes, ArrayRef<int64_t>{0});
}

Value plait::addLanes(OpBuilder &b, Location loc, Value lanes) {
  return halveLanes(b, loc, lanes, [&](Value low, Value high) -> Value {
    return arith::AddFOp::create(b, loc, low, high);
  });
}
