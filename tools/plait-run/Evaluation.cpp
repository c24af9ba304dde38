//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Evaluation: what is checked here would otherwise read past a buffer, or judge
// zeros.
//
//===----------------------------------------------------------------------===//

#include "Evaluation.h"

#include "plait/Passes.h"

#include "mlir/Pass/PassManager.h"

#include <map>

using namespace mlir;
using namespace plait;
using namespace plait::run;
using runtime::DataFeed;
using runtime::Error;
using runtime::Expected;
using runtime::Status;

/// Prints an error at `loc`; an empty message says so.
static Status refuse(Location loc, llvm::StringRef name,
                     const llvm::Twine &why) {
  emitError(loc) << "--eval=@" << name << ": " << why;
  return Error{""};
}

static Status checkFunction(ModuleOp module, llvm::StringRef name) {
  // Importers leave roles in other forms, which the session's copy has lost.
  OwningOpRef<ModuleOp> copy = module.clone();
  PassManager roles(module.getContext());
  buildRolesPipeline(roles);
  if (failed(roles.run(*copy)))
    return refuse(module.getLoc(), name, "its roles cannot be read");
  auto fn = copy->lookupSymbol<FunctionOpInterface>(name);
  if (!fn || !train::isTrainingStep(fn))
    return refuse(fn ? fn.getLoc() : module.getLoc(), name,
                  "the function needs the attribute 'train.step', which gives "
                  "it the calling convention of a step");
  for (unsigned i = 0, e = fn.getNumResults(); i < e; ++i)
    if (train::getCarriedArg(fn, i))
      return refuse(fn.getLoc(), name,
                    "the function changes parameters or states; an evaluation "
                    "only reads them");
  return Status::success();
}

/// What the function reads of the step's is what the step has.
static Status checkCarried(const StepSignature &eval,
                           const StepSignature &step) {
  for (const Slot &slot : eval.slots) {
    if (!slot.isCarried())
      continue;
    const Slot *own = step.find(slot.kind, slot.name);
    std::string text = "reads '" + slot.name + "' as " +
                       runtime::describe(slot.dtype, slot.shape);
    if (!own)
      return refuse(slot.loc, eval.function,
                    text + ", which the step does not have");
    if (own->dtype != slot.dtype || own->shape != slot.shape)
      return refuse(slot.loc, eval.function,
                    text + ", but the step has it as " +
                        runtime::describe(own->dtype, own->shape));
  }
  return Status::success();
}

/// An average over some rows looks like one over all of them. A batch has a
/// static shape, and no padding leaves an average as it is.
static void warnLeftRows(const RunOptions &options,
                         const Evaluation &evaluation, uint64_t batch) {
  uint64_t left = evaluation.leftRows(), all = evaluation.rows() + left;
  if (!left)
    return;
  uint64_t divisor = batch;
  while (all % divisor)
    --divisor;
  warn(options,
       "--eval=@" + options.eval + ": only " + llvm::Twine(all - left) +
           " of the " + llvm::Twine(all) + " rows are evaluated: the last " +
           llvm::Twine(left) + " fill no batch of " + llvm::Twine(batch) +
           "; write the function for a batch that divides " +
           llvm::Twine(all) + ", such as " + llvm::Twine(divisor) +
           ", to evaluate all");
}

Expected<Evaluation> Evaluation::create(ModuleOp module,
                                        const RunOptions &options,
                                        const Session &session) {
  if (Status status = checkFunction(module, options.eval); !status)
    return status;
  const StepSignature &signature = session.evalSignature();
  if (Status status = checkCarried(signature, session.signature()); !status)
    return status;
  Tensors tensors;
  if (Status status = readInputs(options.evalFiles, {}, tensors); !status)
    return status;
  warnUnused(options, "--eval-inputs", {&signature, &session.signature()},
             tensors);
  Expected<DataFeed> data =
      makeFeed(signature, tensors, {}, "give it by --eval-inputs");
  if (!data)
    return Error{data.message()};
  Evaluation evaluation(std::move(*data));
  warnLeftRows(options, evaluation, evaluation.data.batchSize());
  return evaluation;
}

Expected<Evaluation::Metrics> Evaluation::run(Session &session) {
  const StepSignature &signature = session.evalSignature();
  if (Status status = data.setCursor({}); !status)
    return status;
  uint64_t batches = data.batchSize() ? data.rows() / data.batchSize() : 1;
  std::map<std::string, double> sums;
  for (uint64_t i = 0; i < batches; ++i) {
    if (Status status = session.evaluate(data); !status)
      return status;
    for (const Slot &slot : signature.slots)
      if (slot.kind == Kind::Output && slot.shape.empty() &&
          slot.dtype == runtime::DType::F32)
        sums[slot.name] += *session.output(signature, slot.name)->as<float>();
  }
  Metrics metrics;
  for (auto &[name, sum] : sums)
    metrics.push_back({name, sum / batches});
  return metrics;
}
