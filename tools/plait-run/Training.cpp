//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
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
#include "Report.h"

#include "plait/Runtime/SafeTensors.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <omp.h>
#include <unistd.h>

using namespace mlir;
using namespace plait;
using namespace plait::run;

static volatile std::sig_atomic_t interrupted = 0;

static std::string hashOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module;
  auto digest = llvm::SHA256::hash(llvm::arrayRefFromStringRef(text));
  return llvm::toHex(llvm::ArrayRef<uint8_t>(digest).take_front(8), true);
}

namespace {
/// One run: its data, its times, its log.
struct Training {
  const RunOptions &options;
  Session &session;
  runtime::DataFeed &feed;
  std::string hash;
  std::vector<double> ms;
  std::vector<float> losses;
  std::vector<std::pair<std::string, double>> metrics;
  std::FILE *log = nullptr;

  int run();
  int evaluate();
  int finish(int code);
  int writeReport();
  void writeLog(uint64_t step, float loss, double ms);
};
} // namespace

void Training::writeLog(uint64_t step, float loss, double ms) {
  if (!log)
    return;
  bool json = llvm::StringRef(options.log).ends_with(".jsonl");
  std::string value = std::isfinite(loss) ? std::to_string(loss) : "null";
  char exact[32];
  std::snprintf(exact, sizeof exact, "%.9g", double(loss));
  if (std::isfinite(loss))
    value = exact;
  std::fprintf(log,
               json ? "{\"step\": %llu, \"loss\": %s, \"ms\": %.4f}\n"
                    : "%llu,%s,%.4f\n",
               (unsigned long long)step, value.c_str(), ms);
}

int Training::evaluate() {
  Tensors data;
  const StepSignature &signature = session.evalSignature();
  if (auto status = readInputs(options.evalFiles, {}, data); !status)
    return fail(options, status.message());
  auto held = makeFeed(signature, data, {});
  if (!held)
    return fail(options, held.message());
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

int Training::run() {
  bool terminal = isatty(2);
  for (unsigned i = 0; i < options.steps && !interrupted; ++i) {
    auto start = std::chrono::steady_clock::now();
    if (auto status = session.step(feed); !status)
      return fail(options, status.message(), kInternal);
    ms.push_back(std::chrono::duration<double, std::milli>(
                     std::chrono::steady_clock::now() - start)
                     .count());
    losses.push_back(session.loss());
    uint64_t step = feed.cursor().step;
    writeLog(step, losses.back(), ms.back());
    if (terminal && (i % 16 == 0 || i + 1 == options.steps))
      std::fprintf(stderr, "\rstep %llu/%u  loss %-10.5g  %6.2f ms",
                   (unsigned long long)step, options.steps, losses.back(),
                   ms.back());
    if (options.checkFinite && session.lastRun() &&
        !std::isfinite(losses.back()) && hasLoss(session))
      return fail(options,
                  "the loss is not finite at step " + llvm::Twine(step) +
                      "; parameters are as of the last save",
                  kDiffers);
    if (options.saveEvery && !options.save.empty() &&
        step % options.saveEvery == 0)
      if (auto status = save(session, options.save, hash, feed.cursor());
          !status)
        return fail(options, status.message());
    if (options.evalEvery && step % options.evalEvery == 0)
      if (int code = evaluate())
        return code;
  }
  if (terminal)
    std::fprintf(stderr, "\n");
  return kOk;
}

static int writeResults(const RunOptions &options, Session &session) {
  std::map<std::string, runtime::TensorView> views;
  for (const Slot &slot : session.lastRun()->slots)
    if (slot.kind == Kind::Output)
      if (auto *t = session.output(*session.lastRun(), slot.name))
        views[slot.name] = {t->dtype, t->shape, t->data.data()};
  for (const Slot *slot : session.carried()) {
    auto *t = session.find(slot->name);
    views[slot->name] = {t->dtype, t->shape, t->data.data()};
  }
  auto status = runtime::writeSafeTensors(options.results, views);
  return status ? int(kOk) : fail(options, status.message());
}

static void printUpdates(const Session &session) {
  for (const UpdateReport &u : session.updates)
    llvm::outs() << llvm::formatv(
        "{0,-32} {1,-9} {2,-12} gradient {3} bytes\n", u.param, u.placement,
        u.inCluster ? "one nest" : "alone", u.gradientBytes);
}

namespace {
/// What a run starts from.
struct Start {
  runtime::Cursor cursor;
  std::string hash;
};
} // namespace

/// Completes `tensors` by what --resume and --random-inputs give.
static int gather(const RunOptions &options, Session &session, Tensors &tensors,
                  Start &start) {
  if (!options.resume.empty()) {
    auto at = resume(options.resume, start.hash, tensors);
    if (!at)
      return fail(options, at.message());
    start.cursor = *at;
  }
  if (options.randomInputs)
    if (auto status = addRandom(session.signature(), options.seed, tensors);
        !status)
      return fail(options, status.message());
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

/// What is left to do after the last step; `code` is how it ended.
int Training::finish(int code) {
  if (code == kOk && !options.save.empty())
    if (auto status = save(session, options.save, hash, feed.cursor()); !status)
      return fail(options, status.message());
  if (auto status = session.flush(); !status)
    return fail(options, status.message(), kInternal);
  if (code == kOk && !options.eval.empty())
    code = evaluate();
  if (code == kOk && !options.results.empty() && session.lastRun())
    code = writeResults(options, session);
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

int run::runTraining(ModuleOp module, const RunOptions &options,
                     Tensors &tensors) {
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
  Start start{{}, hashOf(module)};
  if (int code = gather(options, **session, tensors, start))
    return code;
  auto feed = makeFeed((*session)->signature(), tensors,
                       feedOptions(options, start.cursor.step + options.steps));
  if (!feed)
    return fail(options, feed.message());
  if (auto status = feed->setCursor(start.cursor); !status)
    return fail(options, status.message());

  if (auto status = (*session)->load(tensors); !status)
    return fail(options, status.message() +
                             (options.randomInputs
                                  ? ""
                                  : "; --random-inputs draws what is missing"));

  Training training{options, **session, *feed, start.hash, {}, {}, {}, nullptr};
  if (!options.log.empty()) {
    training.log = std::fopen(options.log.c_str(), "w");
    if (!training.log)
      return fail(options, "cannot write " + options.log);
    if (!llvm::StringRef(options.log).ends_with(".jsonl"))
      std::fprintf(training.log, "step,loss,ms\n");
  }
  std::signal(SIGINT, [](int) { interrupted = 1; });
  int code = training.run();
  if (training.log)
    std::fclose(training.log);
  return training.finish(code);
}
