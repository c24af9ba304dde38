//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Callers of a step: found by symbol, named by the function they are in.
//
//===----------------------------------------------------------------------===//

#include "NotCalled.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir;

LogicalResult plait::checkNotCalled(FunctionOpInterface step) {
  Operation *table = SymbolTable::getNearestSymbolTable(step->getParentOp());
  auto uses = SymbolTable::getSymbolUses(step, table);
  if (!uses || uses->empty())
    return success();
  Operation *user = uses->begin()->getUser();
  auto caller = user->getParentOfType<FunctionOpInterface>();
  std::string name = caller ? ("@" + caller.getName()).str() : "its module";
  InFlightDiagnostic diag = step.emitError("@");
  diag << step.getName() << " is a training step, and " << name
       << " calls it; what a step takes and gives changes when it is compiled, "
          "so it is called from outside of its module only";
  diag.attachNote(user->getLoc())
      << "called here; move the body of @" << step.getName()
      << " here instead, or remove " << name << " from the module";
  return diag;
}
