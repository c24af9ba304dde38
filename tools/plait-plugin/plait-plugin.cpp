//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// plait-plugin: the dialect and its passes for a stock mlir-opt
// (docs/Embedding.md has the command).
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"

extern "C" LLVM_ATTRIBUTE_WEAK mlir::DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Plait", LLVM_VERSION_STRING,
          [](mlir::DialectRegistry *registry) {
            registry->insert<plait::train::TrainDialect>();
            plait::registerPlaitPasses();
            plait::registerPlaitPipelines();
          }};
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo
mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "PlaitPasses", LLVM_VERSION_STRING,
          [] { plait::registerPlaitPasses(); }};
}
