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

Value plait::addLanesOfEach(OpBuilder &b, Location loc,
                            ArrayRef<Value> vectors) {
  SmallVector<Value> values(vectors);
  int64_t lanes = cast<VectorType>(values.front().getType()).getNumElements();
  // Each value has the lanes of some vectors, one behind the other, `lanes` each.
  for (int64_t groups = 1; lanes > 1; lanes /= 2) {
    bool isPair = values.size() > 1;
    auto halves = [&](Value first, Value second, int64_t from) -> Value {
      SmallVector<int64_t> mask;
      for (int64_t group : llvm::seq(isPair ? 2 * groups : groups))
        llvm::append_range(mask, llvm::seq(group * lanes + from,
                                           group * lanes + from + lanes / 2));
      return vector::ShuffleOp::create(b, loc, first, second, mask);
    };
    SmallVector<Value> next;
    for (size_t i = 0; i < values.size(); i += isPair ? 2 : 1) {
      Value first = values[i], second = values[isPair ? i + 1 : i];
      Value low = halves(first, second, 0);
      next.push_back(
          arith::AddFOp::create(b, loc, low, halves(first, second, lanes / 2)));
    }
    groups *= isPair ? 2 : 1;
    values = std::move(next);
  }
  return values.front();
}
