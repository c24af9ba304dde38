//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One training run: steps, log, progress, evaluation, and what is written at
// the end.
//
//===----------------------------------------------------------------------===//

#include "Training.h"

#include "Checkpoint.h"
#include "Data.h"
#include "Evaluation.h"
#include "Log.h"
#include "Progress.h"
#include "Report.h"

#include "plait/Driver/Memory.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cmath>
#include <csignal>

using namespace mlir;
using namespace plait;
using namespace plait::run;

static volatile std::sig_atomic_t interrupted = 0;

/// The first Ctrl-C lets the step finish; the second ends the process.
static void catchInterrupt() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
}

static std::string hashOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module;
  auto digest = llvm::SHA256::hash(llvm::arrayRefFromStringRef(text));
  return llvm::toHex(llvm::ArrayRef<uint8_t>(digest).take_front(8), true);
}

namespace {
/// One run: its data, its times, its log.
class Training {
public:
  Training(const RunOptions &options, Session &session, runtime::DataFeed &feed,
           std::optional<Evaluation> &evaluation, SaveInfo info,
           std::string lastSave, Reasons reasons, int64_t idleBytes)
      : options(options), session(session), feed(feed), evaluation(evaluation),
        info(std::move(info)), lastSave(std::move(lastSave)), log(options) {
    trace.reasons = std::move(reasons);
    trace.firstStep = feed.cursor().step;
    memory.process = idleBytes + session.compiledBytes;
    memory.data = feed.bytes() + (evaluation ? evaluation->dataBytes() : 0);
  }

  int openLog() { return log.open(feed.cursor().step); }
  int run();
  /// What is left to do after the last step; `code` is how it ended.
  int finish(int code);

private:
  int runStep(Progress &progress);
  int checkLoss();
  int checkParameters();
  int saveNow(bool atEnd);
  int evaluate();
  void printSummary();
  int writeReport();

  const RunOptions &options;
  Session &session;
  runtime::DataFeed &feed;
  std::optional<Evaluation> &evaluation;
  SaveInfo info;
  std::string lastSave; ///< where the parameters can be had; or empty
  Trace trace;
  Evaluation::Metrics metrics;
  std::optional<uint64_t> judgedStep; ///< that `metrics` are of
  MemoryUse memory;
  Log log;
};
} // namespace

/// What a run that diverged leaves behind.
static std::string whereParametersAre(const std::string &lastSave) {
  return lastSave.empty() ? "nothing was saved"
                          : "the last save, " + lastSave + ", is from before";
}

int Training::checkLoss() {
  if (!options.checkFinite || !hasLoss(session) ||
      std::isfinite(trace.losses.back()))
    return kOk;
  return fail(options,
              "the loss is not finite at step " +
                  llvm::Twine(feed.cursor().step) + "; " +
                  whereParametersAre(lastSave),
              kDiffers);
}

/// A loss shows what the update of the step before did. A save must not wait
/// for it: it would be one of parameters that are lost already.
int Training::checkParameters() {
  if (!options.checkFinite)
    return kOk;
  if (auto status = session.flush(); !status)
    return fail(options, status.message(), kInternal);
  for (const Slot *slot : session.carried()) {
    if (slot->kind != Kind::Param || slot->dtype != runtime::DType::F32)
      continue;
    runtime::HostTensor &tensor = *session.find(slot->name);
    const float *begin = tensor.as<float>();
    if (!std::all_of(begin, begin + tensor.data.size() / sizeof(float),
                     [](float value) { return std::isfinite(value); }))
      return fail(options,
                  "parameter '" + slot->name + "' is not finite after step " +
                      llvm::Twine(feed.cursor().step) +
                      ", so it is not saved; " + whereParametersAre(lastSave),
                  kDiffers);
  }
  return kOk;
}

int Training::saveNow(bool atEnd) {
  if (int code = checkParameters())
    return code;
  info.cursor = feed.cursor();
  auto status = atEnd ? save(session, options.save, info)
                      : saveNumbered(session, options.save, info, options.keep);
  if (!status)
    return fail(options, status.message());
  lastSave = atEnd ? options.save
                   : options.save + "/step-" + std::to_string(info.cursor.step);
  return kOk;
}

int Training::evaluate() {
  if (judgedStep == feed.cursor().step)
    return kOk;
  auto judged = evaluation->run(session);
  if (!judged)
    return fail(options, judged.message(), kInternal);
  metrics = std::move(*judged);
  judgedStep = feed.cursor().step;
  for (auto &[name, value] : metrics)
    llvm::outs() << llvm::formatv("step {0}  eval {1} {2:f4}\n",
                                  feed.cursor().step, name, value);
  return kOk;
}

int Training::runStep(Progress &progress) {
  auto start = std::chrono::steady_clock::now();
  if (auto status = session.step(feed); !status)
    return fail(options, status.message());
  trace.ms.push_back(std::chrono::duration<double, std::milli>(
                         std::chrono::steady_clock::now() - start)
                         .count());
  trace.losses.push_back(session.loss());
  uint64_t step = feed.cursor().step;
  progress.update(step, trace.losses.back());
  bool save = options.saveEvery && step % options.saveEvery == 0;
  bool eval = options.evalEvery && step % options.evalEvery == 0;
  if (eval || (options.checkFinite && !std::isfinite(trace.losses.back())))
    progress.clear();
  log.write(step, trace.losses.back(), trace.ms.back());
  if (int code = checkLoss())
    return code;
  if (save)
    if (int code = saveNow(/*atEnd=*/false))
      return code;
  return eval ? evaluate() : int(kOk);
}

int Training::run() {
  uint64_t first = feed.cursor().step;
  Progress progress(first, first + options.steps);
  for (unsigned i = 0; i < options.steps && !interrupted; ++i)
    if (int code = runStep(progress))
      return code;
  memory.resident = residentBytes();
  return kOk;
}

int Training::writeReport() {
  auto json = reportOf(session, trace);
  json["data_bytes"] = memory.data;
  json["process_bytes"] = memory.process;
  json["resident_bytes"] = memory.resident;
  json["schedule"] = options.schedule; // as asked for: may be auto
  llvm::json::Object eval;
  for (auto &[name, value] : metrics)
    eval[name] = toJson(value);
  json["eval"] = std::move(eval);
  if (evaluation) {
    json["eval_rows"] = evaluation->rows();
    json["eval_rows_left"] = evaluation->leftRows();
  }
  return run::writeReport(options, std::move(json));
}

void Training::printSummary() {
  if (trace.ms.empty())
    return;
  Summary time = summarize(trace.ms);
  llvm::outs() << llvm::formatv("{0}: {1} steps, {2:f3} ms/step (min {3:f3})",
                                options.schedule, trace.ms.size(), time.median,
                                time.min);
  if (hasLoss(session))
    llvm::outs() << llvm::formatv(", loss {0:f6}", trace.losses.back());
  llvm::outs() << llvm::formatv("\n{0:f1} MB of tensors and arena, {1:f1} of "
                                "data; {2:f1} resident, {3:f1} "
                                "of them program and compiler\n",
                                session.peakBytes() / 1e6, memory.data / 1e6,
                                memory.resident / 1e6, memory.process / 1e6);
}

int Training::finish(int code) {
  if (code == kOk && !options.save.empty())
    code = saveNow(/*atEnd=*/true);
  if (auto status = session.flush(); !status)
    return fail(options, status.message(), kInternal);
  if (code == kOk && evaluation && !interrupted)
    code = evaluate();
  if (code == kOk && !options.results.empty() && session.lastRun())
    if (auto status = writeResults(session, options.results); !status)
      code = fail(options, status.message());
  printSummary();
  if (!options.report.empty())
    if (int status = writeReport())
      return status;
  if (code != kOk)
    return code;
  return interrupted ? kInterrupted : log.failed() ? kUsage : kOk;
}

/// A table as wide as its longest name.
static void printUpdates(const Session &session) {
  size_t width = 0;
  for (const UpdateReport &u : session.updates)
    width = std::max(width, u.param.size());
  for (const UpdateReport &u : session.updates)
    llvm::outs() << llvm::left_justify(u.param, width)
                 << llvm::formatv(
                        "  {0,-9}  {1,-8}  gradient {2} bytes\n", u.placement,
                        u.inCluster ? "one nest" : "alone", u.gradientBytes);
}

/// What a run starts from: nothing, or the save of --resume.
static int findStart(const RunOptions &options, Tensors &tensors,
                     SaveInfo &info, std::string &lastSave) {
  DataOrder *saved = nullptr;
  if (!options.resume.empty()) {
    auto resumed = resume(options.resume, info.moduleHash, tensors);
    if (!resumed)
      return fail(options, resumed.message());
    info = resumed->info;
    saved = &info.order;
    lastSave = resumed->directory;
    if (lastSave != options.resume)
      llvm::outs() << "going on from " << lastSave << '\n';
  }
  auto order = settleOrder(options, saved);
  if (!order)
    return fail(options, order.message());
  info.order = *order;
  if (!options.save.empty())
    if (auto status = checkUnmixed(options.save, info.cursor.step,
                                   options.saveEvery != 0);
        !status)
      return fail(options, status.message());
  return kOk;
}

/// Everything that can be known to fail before anything is compiled.
static int checkOutputs(const RunOptions &options) {
  for (const auto &status : {checkOutput("--results", options.results, true),
                             checkOutput("--log", options.log),
                             checkOutput("--report", options.report),
                             checkOutputDirectory("--save", options.save)})
    if (!status)
      return fail(options, status.message());
  return kOk;
}

int run::runTraining(ModuleOp module, const RunOptions &options,
                     Tensors &tensors, ReasonCollector &reasons,
                     int64_t idleBytes) {
  if (int code = checkOutputs(options))
    return code;
  SaveInfo info;
  info.moduleHash = hashOf(module);
  std::string lastSave;
  if (int code = findStart(options, tensors, info, lastSave))
    return code;
  auto session = Session::create(module, options.session());
  if (failed(session))
    return kUsage;
  if (options.printSchedule)
    printUpdates(**session);
  const StepSignature &signature = (*session)->signature();
  warnUnused(options, "--inputs", {&signature, &(*session)->evalSignature()},
             tensors);
  if (options.randomInputs)
    if (auto status = addRandom(signature, info.order.seed, tensors); !status)
      return fail(options, status.message());
  auto feed = makeFeed(
      signature, tensors,
      feedOptions(info.order, info.cursor.step + options.steps), inputAdvice);
  if (!feed)
    return fail(options, feed.message());
  if (auto status = feed->setCursor(info.cursor); !status)
    return fail(options, status.message());
  if (auto status = checkComplete(signature, tensors); !status)
    return fail(options, status.message());
  if (auto status = (*session)->take(tensors); !status)
    return fail(options, status.message());
  tensors.clear(); // of those, nobody has a use for the rest
  std::optional<Evaluation> evaluation;
  if (!options.eval.empty()) {
    auto made = Evaluation::create(module, options, **session);
    if (!made)
      return fail(options, made.message());
    evaluation = std::move(*made);
  }

  Training training(options, **session, *feed, evaluation, info, lastSave,
                    reasons.take(), idleBytes);
  if (int code = training.openLog())
    return code;
  catchInterrupt();
  return training.finish(training.run());
}
