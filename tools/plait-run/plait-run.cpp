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
#include "Emit.h"
#include "Training.h"

#include "plait/Driver/Memory.h"

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

/// A module without `module` has the location FILE:0:0, which is none.
static bool hasLine(Location loc) {
  auto at = loc->findInstanceOf<FileLineColLoc>();
  return at && at.getLine() != 0;
}

/// Prints a diagnostic that is not about a line of the file; leaves others to
/// the handler that quotes their lines.
static LogicalResult printWithoutLine(const RunOptions &options,
                                      SourceMgrDiagnosticHandler &lines,
                                      Diagnostic &diagnostic) {
  if (hasLine(diagnostic.getLocation()))
    return failure();
  if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
    fail(options, diagnostic.str());
  else
    warn(options, diagnostic.str());
  for (Diagnostic &note : diagnostic.getNotes())
    if (hasLine(note.getLocation()))
      lines.emitDiagnostic(note.getLocation(), note.str(), note.getSeverity());
    else
      llvm::errs() << options.file << ": note: " << note << '\n';
  return success();
}

/// A table that was not written is no result, and not a difference either.
static int checkStdout(const RunOptions &options, int code) {
  llvm::outs().flush();
  if (!llvm::outs().has_error())
    return code;
  std::string reason = llvm::outs().error().message();
  llvm::outs().clear_error(); // which would end the process with 1
  int failure = fail(options, "cannot write to standard output: " + reason);
  return code == kOk ? failure : code;
}

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
  ScopedDiagnosticHandler withoutLine(&context, [&](Diagnostic &diagnostic) {
    return printWithoutLine(*options, handler, diagnostic);
  });
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return kUsage;
  if (options->emit)
    return checkStdout(*options, runEmission(*module, *options));
  int64_t idleBytes = residentBytes();
  Tensors tensors;
  if (auto status =
          readInputs(options->inputFiles, options->inputSingles, tensors);
      !status)
    return fail(*options, status.message());
  return checkStdout(
      *options,
      options->compare
          ? runComparison(*module, *options, tensors, reasons)
          : runTraining(*module, *options, tensors, reasons, idleBytes));
}
