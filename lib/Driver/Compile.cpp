//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Parsing with every upstream dialect, and diagnostics as text.
//
//===----------------------------------------------------------------------===//

#include "plait/Driver/Compile.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace plait;
using namespace plait::run;

/// The line of one diagnostic. The source is not quoted, as MLIR's own tools
/// do: a line that holds a model's constants has millions of characters.
static void write(llvm::raw_ostream &os, const Diagnostic &diagnostic) {
  // A module without `module` is at line 0.
  auto at = diagnostic.getLocation()->findInstanceOf<FileLineColLoc>();
  if (at && at.getLine() != 0)
    os << at.getFilename().getValue() << ':' << at.getLine() << ':'
       << at.getColumn() << ": ";
  os << (diagnostic.getSeverity() == DiagnosticSeverity::Error ? "error: "
                                                               : "note: ")
     << diagnostic.str() << '\n';
}

runtime::Expected<std::unique_ptr<Session>>
run::compileText(StringRef text, const SessionOptions &options) {
  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registry.insert<train::TrainDialect>();
  // The caller's threads are the caller's: a few functions need none of MLIR's.
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false); // a message, not the whole module

  std::string errors;
  llvm::raw_string_ostream os(errors);
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return;
    write(os, diagnostic);
    for (const Diagnostic &note : diagnostic.getNotes())
      write(os, note);
  });
  auto failure = [&] {
    while (!errors.empty() && errors.back() == '\n')
      errors.pop_back();
    return runtime::Error{
        errors.empty() ? "compilation failed without a diagnostic" : errors};
  };
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(text, &context, "step.mlir");
  if (!module)
    return failure();
  auto session = Session::create(*module, options);
  if (failed(session))
    return failure();
  return std::move(*session);
}
