//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Replaceable.h"

#include "plait/Analysis/Aliases.h"
#include "plait/Dialect/Train/Train.h"

using namespace mlir;
using namespace plait;

bool plait::mayBeReplaced(Value value) {
  while (Operation *def = value.getDefiningOp()) {
    if (!isView(def))
      return false;
    value = def->getOperand(0);
  }
  auto arg = cast<BlockArgument>(value);
  auto fn = dyn_cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
  return !fn || isa_and_nonnull<train::ParamAttr, train::StateAttr>(
                    train::getArgRole(fn, arg.getArgNumber()));
}
