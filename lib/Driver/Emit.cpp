//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same passes as a session's, and another end.
//
//===----------------------------------------------------------------------===//

#include "plait/Driver/Emit.h"
#include "SessionTarget.h"

#include "plait/Passes.h"

#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace plait;
using namespace plait::run;

FailureOr<std::string> run::emitStep(ModuleOp module,
                                     const SessionOptions &options,
                                     CodeFormat format) {
  auto schedule = resolveSchedule(module, options.schedule);
  auto target = targetFor(module, options);
  if (failed(schedule) || failed(target))
    return failure();
  OwningOpRef<ModuleOp> copy = module.clone();
  // Roles first: they say which function is the step.
  PassManager roles(module.getContext());
  buildRolesPipeline(roles);
  if (failed(roles.run(*copy)))
    return failure();
  auto step = findEntry(*copy, options.entry);
  if (failed(step) || failed(readSignature(*step)))
    return failure();
  PassManager passes(module.getContext());
  buildSchedulePipeline(passes, options.schedule, *target);
  buildLoweringPipeline(passes, *target);
  if (failed(passes.run(*copy)))
    return failure();
  auto code = emitCode(*copy, options.cpu, format);
  if (!code)
    return module.emitError(llvm::toString(code.takeError()));
  return std::move(*code);
}
