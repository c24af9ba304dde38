//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Print update dependence: the analysis alone, for tests and for whoever asks
// why an update stays where it is.
//
//===----------------------------------------------------------------------===//

#include "plait/Analysis/UpdateDependence.h"
#include "plait/Passes.h"

using namespace mlir;

namespace plait {
#define GEN_PASS_DEF_TRAINPRINTUPDATEDEPENDENCE
#include "plait/Passes.h.inc"
} // namespace plait

namespace {
struct PrintUpdateDependence
    : plait::impl::TrainPrintUpdateDependenceBase<PrintUpdateDependence> {
  void runOnOperation() override {
    getOperation()->walk([](FunctionOpInterface fn) {
      llvm::outs() << '@' << fn.getName() << ":\n";
      plait::UpdateDependence(fn).print(llvm::outs());
    });
    markAllAnalysesPreserved();
  }
};
} // namespace
