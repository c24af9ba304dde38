//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// plait-run: compile a training step in this process, and train.
//
//===----------------------------------------------------------------------===//

#include "Compare.h"
#include "Data.h"
#include "Training.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"

#include <omp.h>

using namespace mlir;
using namespace plait;
using namespace plait::run;

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  std::optional<RunOptions> options = parseOptions(argc, argv);
  if (!options)
    return kUsage;
  if (options->threads)
    omp_set_num_threads(options->threads);

  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registry.insert<train::TrainDialect>();
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false); // a message, not the whole module
  ReasonCollector reasons(context);
  // Opened here for the system's reason; the parser has none.
  std::string error;
  std::unique_ptr<llvm::MemoryBuffer> file =
      openInputFile(options->file, &error);
  if (!file)
    return fail(*options, error);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  SourceMgrDiagnosticHandler handler(sources, &context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return kUsage;
  Tensors tensors;
  if (auto status =
          readInputs(options->inputFiles, options->inputSingles, tensors);
      !status)
    return fail(*options, status.message());
  return options->compare ? runComparison(*module, *options, tensors, reasons)
                          : runTraining(*module, *options, tensors, reasons);
}
