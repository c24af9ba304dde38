//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// --emit: code for whatever cpu, to a file or to standard output.
//
//===----------------------------------------------------------------------===//

#include "Emit.h"
#include "Data.h"

#include "plait/Driver/Emit.h"
#include "plait/Runtime/File.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace plait;
using namespace plait::run;

int run::runEmission(ModuleOp module, const RunOptions &options) {
  if (auto status = checkOutput("-o", options.output, true); !status)
    return fail(options, status.message());
  auto code = emitStep(module, options.session(), *options.emit);
  if (failed(code))
    return kUsage;
  if (options.output.empty()) {
    llvm::outs() << *code;
    return kOk;
  }
  auto status = runtime::writeFileAtomically(options.output,
                                             {{code->data(), code->size()}});
  return status ? int(kOk) : fail(options, status.message());
}
