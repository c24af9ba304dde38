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
#include "Progress.h"
#include "Report.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <omp.h>

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
           std::optional<runtime::DataFeed> &held, SaveInfo info,
           std::string lastSave)
      : options(options), session(session), feed(feed), held(held),
        info(std::move(info)), lastSave(std::move(lastSave)) {}
  ~Training();

  int openLog();
  int run();
  /// What is left to do after the last step; `code` is how it ended.
  int finish(int code);

private:
  int runStep(Progress &progress);
  int checkLoss();
  int checkParameters();
  int saveNow(bool atEnd);
  int evaluate();
  int writeReport();
  int writeLog();

  const RunOptions &options;
  Session &session;
  runtime::DataFeed &feed;
  std::optional<runtime::DataFeed> &held;
  SaveInfo info;
  std::string lastSave; ///< where the parameters can be had; or empty
  std::vector<double> ms;
  std::vector<float> losses;
  std::vector<std::pair<std::string, double>> metrics;
  std::FILE *log = nullptr;
};
} // namespace

Training::~Training() {
  if (log)
    std::fclose(log);
}

int Training::openLog() {
  if (options.log.empty())
    return kOk;
  log = std::fopen(options.log.c_str(), "w");
  if (!log)
    return fail(options,
                "cannot write " + options.log + ": " + std::strerror(errno));
  // A line a step, so that others can follow.
  std::setvbuf(log, nullptr, _IOLBF, BUFSIZ);
  if (!llvm::StringRef(options.log).ends_with(".jsonl"))
    std::fprintf(log, "step,loss,ms\n");
  return kOk;
}

int Training::writeLog() {
  if (!log)
    return kOk;
  bool json = llvm::StringRef(options.log).ends_with(".jsonl");
  char loss[32] = "null";
  if (std::isfinite(losses.back()))
    std::snprintf(loss, sizeof loss, "%.9g", double(losses.back()));
  int written =
      std::fprintf(log,
                   json ? "{\"step\": %llu, \"loss\": %s, \"ms\": %.4f}\n"
                        : "%llu,%s,%.4f\n",
                   (unsigned long long)feed.cursor().step, loss, ms.back());
  if (written < 0)
    return fail(options,
                "cannot write " + options.log + ": " + std::strerror(errno));
  return kOk;
}

/// What a run that diverged leaves behind.
static std::string whereParametersAre(const std::string &lastSave) {
  return lastSave.empty() ? "nothing was saved"
                          : "the last save, " + lastSave + ", is from before";
}

int Training::checkLoss() {
  if (!options.checkFinite || !hasLoss(session) || std::isfinite(losses.back()))
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
  const StepSignature &signature = session.evalSignature();
  if (auto status = held->setCursor({}); !status)
    return fail(options, status.message(), kInternal);
  uint64_t batches = held->batchSize() ? held->rows() / held->batchSize() : 1;
  std::map<std::string, double> sums;
  for (uint64_t i = 0; i < batches; ++i) {
    if (auto status = session.evaluate(*held); !status)
      return fail(options, status.message(), kInternal);
    for (const Slot &slot : signature.slots)
      if (slot.kind == Kind::Output && slot.shape.empty() &&
          slot.dtype == runtime::DType::F32)
        sums[slot.name] += *session.output(signature, slot.name)->as<float>();
  }
  metrics.clear();
  for (auto &[name, sum] : sums) {
    metrics.push_back({name, sum / batches});
    llvm::outs() << llvm::formatv("step {0}  eval {1} {2:f4}\n",
                                  feed.cursor().step, name, sum / batches);
  }
  return kOk;
}

int Training::runStep(Progress &progress) {
  auto start = std::chrono::steady_clock::now();
  if (auto status = session.step(feed); !status)
    return fail(options, status.message(), kInternal);
  ms.push_back(std::chrono::duration<double, std::milli>(
                   std::chrono::steady_clock::now() - start)
                   .count());
  losses.push_back(session.loss());
  uint64_t step = feed.cursor().step;
  progress.update(step, losses.back());
  bool save = options.saveEvery && step % options.saveEvery == 0;
  bool eval = options.evalEvery && step % options.evalEvery == 0;
  if (eval || (options.checkFinite && !std::isfinite(losses.back())))
    progress.clear();
  if (int code = writeLog())
    return code;
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
  return kOk;
}

int Training::writeReport() {
  auto json = reportOf(session, ms, omp_get_max_threads());
  json["loss"] = lossArray(losses);
  llvm::json::Object eval;
  for (auto &[name, value] : metrics)
    eval[name] = value;
  json["eval"] = std::move(eval);
  if (!losses.empty() && hasLoss(session) && !std::isfinite(losses.back()))
    json["diverged_at_step"] = int64_t(losses.size());
  return run::writeReport(options, std::move(json));
}

int Training::finish(int code) {
  if (code == kOk && !options.save.empty())
    code = saveNow(/*atEnd=*/true);
  if (auto status = session.flush(); !status)
    return fail(options, status.message(), kInternal);
  if (code == kOk && held && !interrupted)
    code = evaluate();
  if (code == kOk && !options.results.empty() && session.lastRun())
    if (auto status = writeResults(session, options.results); !status)
      code = fail(options, status.message());
  if (!ms.empty())
    llvm::outs() << llvm::formatv(
        "{0}: {1} steps, {2:f3} ms/step (min {3:f3}), loss {4:f6}\n",
        session.schedule(), ms.size(), summarize(ms).median, summarize(ms).min,
        losses.back());
  if (!options.report.empty())
    if (int status = writeReport())
      return status;
  return code == kOk && interrupted ? int(kInterrupted) : code;
}

static void printUpdates(const Session &session) {
  for (const UpdateReport &u : session.updates)
    llvm::outs() << llvm::formatv(
        "{0,-32} {1,-9} {2,-12} gradient {3} bytes\n", u.param, u.placement,
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

/// The data of --eval, read before the first step.
static int readHeldOut(const RunOptions &options, const Session &session,
                       std::optional<runtime::DataFeed> &held) {
  if (options.eval.empty())
    return kOk;
  Tensors data;
  if (auto status = readInputs(options.evalFiles, {}, data); !status)
    return fail(options, status.message());
  auto feed = makeFeed(session.evalSignature(), data, {});
  if (!feed)
    return fail(options, feed.message());
  held = std::move(*feed);
  return kOk;
}

int run::runTraining(ModuleOp module, const RunOptions &options,
                     Tensors &tensors) {
  SaveInfo info;
  info.moduleHash = hashOf(module);
  std::string lastSave;
  if (int code = findStart(options, tensors, info, lastSave))
    return code;
  SessionOptions sessionOptions;
  sessionOptions.entry = options.entry;
  sessionOptions.schedule = options.schedule;
  sessionOptions.cpu = options.cpu;
  sessionOptions.eval = options.eval;
  auto session = Session::create(module, sessionOptions);
  if (failed(session))
    return kUsage;
  if (options.printSchedule)
    printUpdates(**session);
  const StepSignature &signature = (*session)->signature();
  if (options.randomInputs)
    if (auto status = addRandom(signature, info.order.seed, tensors); !status)
      return fail(options, status.message());
  auto feed =
      makeFeed(signature, tensors,
               feedOptions(info.order, info.cursor.step + options.steps));
  if (!feed)
    return fail(options, feed.message());
  if (auto status = feed->setCursor(info.cursor); !status)
    return fail(options, status.message());
  if (auto status = (*session)->load(tensors); !status)
    return fail(options, status.message() +
                             (options.randomInputs
                                  ? ""
                                  : "; --random-inputs draws what is missing"));
  std::optional<runtime::DataFeed> held;
  if (int code = readHeldOut(options, **session, held))
    return code;

  Training training(options, **session, *feed, held, info, lastSave);
  if (int code = training.openLog())
    return code;
  catchInterrupt();
  return training.finish(training.run());
}
