//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// plait-opt: mlir-opt with Plait's dialect, passes and pipelines beside every
// upstream one.
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<plait::train::TrainDialect>();
  mlir::registerAllPasses();
  plait::registerPlaitPasses();
  plait::registerPlaitPipelines();
  llvm::cl::AddExtraVersionPrinter([](llvm::raw_ostream &os) {
    os << "Plait " PLAIT_VERSION " (" PLAIT_GIT_HASH ")\n";
  });
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "Plait: optimizer fusion for training graphs\n", registry));
}
