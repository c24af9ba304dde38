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

#include "plait/Runtime/SafeTensors.h"

#include "mlir/IR/AsmState.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/ADT/StringExtras.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <omp.h>
#include <unistd.h>

using namespace mlir;
using namespace plait;
using namespace plait::run;
namespace cl = llvm::cl;

// libLLVM registers hundreds of options of its own (one is called --threads);
// a user of this tool has no use for them.
static const bool onlyOurOptions = (cl::ResetCommandLineParser(), true);

static cl::OptionCategory category("plait-run options");
#define PLAIT_OPT(TYPE, VAR, NAME, ...)                                        \
  static TYPE VAR(NAME, cl::cat(category), __VA_ARGS__)

PLAIT_OPT(cl::opt<std::string>, file, cl::Positional, cl::Required,
          cl::desc("<training step.mlir>"));
PLAIT_OPT(cl::opt<std::string>, entry, "entry-point",
          cl::desc("Step to run (default: the only one)"),
          cl::value_desc("name"));
static cl::alias entryShort("e", cl::aliasopt(entry), cl::cat(category),
                            cl::desc("Alias of --entry-point"));
PLAIT_OPT(cl::list<std::string>, inputFiles, "inputs",
          cl::desc("Tensors by name: parameters, states, inputs"),
          cl::value_desc("file.safetensors"));
PLAIT_OPT(cl::list<std::string>, inputSingles, "input",
          cl::desc("One input"), cl::value_desc("name=@file.npy"));
PLAIT_OPT(cl::opt<bool>, randomInputs, "random-inputs",
          cl::desc("Draw what no file gives"));
PLAIT_OPT(cl::opt<uint64_t>, seed, "seed", cl::init(0),
          cl::desc("Seed of --random-inputs and --shuffle"));
PLAIT_OPT(cl::opt<bool>, shuffle, "shuffle",
          cl::desc("Draw a new order of the data for each epoch"));
PLAIT_OPT(cl::opt<bool>, wrap, "wrap",
          cl::desc("Complete the last batch of an epoch from the next one"));
PLAIT_OPT(cl::opt<bool>, dropLast, "drop-last",
          cl::desc("Drop an incomplete last batch (default)"));
PLAIT_OPT(cl::opt<unsigned>, steps, "steps", cl::init(100),
          cl::desc("Steps to run (default 100)"));
static cl::alias stepsShort("n", cl::aliasopt(steps), cl::cat(category),
                            cl::desc("Alias of --steps"));
PLAIT_OPT(cl::opt<std::string>, schedule, "schedule", cl::init("backward"),
          cl::desc("Where updates run: baseline, backward (default) or "
                   "forward"));
PLAIT_OPT(cl::opt<unsigned>, threads, "threads", cl::init(0),
          cl::desc("Threads (default: all processors)"));
PLAIT_OPT(cl::opt<std::string>, cpu, "mcpu",
          cl::desc("CPU to generate code for (default: this one)"));
PLAIT_OPT(cl::opt<std::string>, evalName, "eval",
          cl::desc("Function that judges the parameters; its f32 outputs are "
                   "averaged over --eval-inputs"),
          cl::value_desc("@function"));
PLAIT_OPT(cl::list<std::string>, evalFiles, "eval-inputs",
          cl::desc("Held-out data for --eval"),
          cl::value_desc("file.safetensors"));
PLAIT_OPT(cl::opt<unsigned>, evalEvery, "eval-every", cl::init(0),
          cl::desc("Evaluate every N steps (default: at the end)"));
PLAIT_OPT(cl::opt<std::string>, resultsFile, "results",
          cl::desc("Write all results of the last step"),
          cl::value_desc("file.safetensors"));
PLAIT_OPT(cl::opt<std::string>, logFile, "log",
          cl::desc("Write a line a step: step, loss, ms"),
          cl::value_desc("file.csv|file.jsonl"));
PLAIT_OPT(cl::opt<std::string>, reportFile, "report",
          cl::desc("Write what ran and how fast"),
          cl::value_desc("file.json"));
PLAIT_OPT(cl::opt<std::string>, saveDir, "save",
          cl::desc("Write parameters and states at the end"),
          cl::value_desc("directory"));
PLAIT_OPT(cl::opt<unsigned>, saveEvery, "save-every", cl::init(0),
          cl::desc("Also save every N steps"));
PLAIT_OPT(cl::opt<std::string>, resumeDir, "resume",
          cl::desc("Go on from what --save wrote"),
          cl::value_desc("directory"));
PLAIT_OPT(cl::opt<bool>, checkFinite, "check-finite", cl::init(true),
          cl::desc("Stop at the first loss that is not finite (default on)"));
PLAIT_OPT(cl::opt<bool>, compareFlag, "compare",
          cl::desc("Run every schedule on the same inputs; exit 1 where one "
                   "differs from baseline by a single bit"));
PLAIT_OPT(cl::opt<unsigned>, block, "block", cl::init(20),
          cl::desc("Steps in a timed block of --compare (default 20)"));
PLAIT_OPT(cl::opt<bool>, printSchedule, "print-schedule",
          cl::desc("Print where each update went"));

/// Exit codes of docs/ABI.md's tools contract.
enum ExitCode { kOk = 0, kDiffers = 1, kUsage = 2, kInternal = 3 };

static volatile std::sig_atomic_t interrupted = 0;

static int fail(const llvm::Twine &message, int code = kUsage) {
  llvm::errs() << file << ": error: " << message << '\n';
  return code;
}

static std::string hashOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module;
  auto digest = llvm::SHA256::hash(llvm::arrayRefFromStringRef(text));
  return llvm::toHex(llvm::ArrayRef<uint8_t>(digest).take_front(8), true);
}

namespace {
/// One run: its data, its times, its log.
struct Training {
  Session &session;
  runtime::DataFeed &feed;
  std::string hash;
  std::vector<double> ms;
  std::vector<float> losses;
  std::vector<std::pair<std::string, double>> metrics;
  std::FILE *log = nullptr;

  int run();
  int evaluate();
  void writeLog(uint64_t step, float loss, double ms);
};
} // namespace

void Training::writeLog(uint64_t step, float loss, double ms) {
  if (!log)
    return;
  bool json = llvm::StringRef(logFile).ends_with(".jsonl");
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
  if (auto status = readInputs(evalFiles, {}, data); !status)
    return fail(status.message());
  auto held = makeFeed(signature, data, {});
  if (!held)
    return fail(held.message());
  uint64_t batches =
      held->batchSize() ? held->rows() / held->batchSize() : 1;
  std::map<std::string, double> sums;
  for (uint64_t i = 0; i < batches; ++i) {
    if (auto status = session.evaluate(*held); !status)
      return fail(status.message(), kInternal);
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
  for (unsigned i = 0; i < steps && !interrupted; ++i) {
    auto start = std::chrono::steady_clock::now();
    if (auto status = session.step(feed); !status)
      return fail(status.message(), kInternal);
    ms.push_back(std::chrono::duration<double, std::milli>(
                     std::chrono::steady_clock::now() - start)
                     .count());
    losses.push_back(session.loss());
    uint64_t step = feed.cursor().step;
    writeLog(step, losses.back(), ms.back());
    if (terminal && (i % 16 == 0 || i + 1 == steps))
      std::fprintf(stderr, "\rstep %llu/%u  loss %-10.5g  %6.2f ms",
                   (unsigned long long)step, steps.getValue(), losses.back(),
                   ms.back());
    if (checkFinite && session.lastRun() && !std::isfinite(losses.back()) &&
        hasLoss(session))
      return fail("the loss is not finite at step " + llvm::Twine(step) +
                      "; parameters are as of the last save",
                  kDiffers);
    if (saveEvery && !saveDir.empty() && step % saveEvery == 0)
      if (auto status = save(session, saveDir, hash, feed.cursor()); !status)
        return fail(status.message());
    if (evalEvery && step % evalEvery == 0)
      if (int code = evaluate())
        return code;
  }
  if (terminal)
    std::fprintf(stderr, "\n");
  return kOk;
}

static llvm::json::Array lossArray(llvm::ArrayRef<float> losses) {
  llvm::json::Array array;
  for (float loss : losses)
    array.push_back(std::isfinite(loss) ? llvm::json::Value(double(loss))
                                        : llvm::json::Value(nullptr));
  return array;
}

static int writeReport(const llvm::json::Value &value) {
  std::error_code error;
  llvm::raw_fd_ostream os(reportFile, error);
  if (error)
    return fail(reportFile + ": " + error.message());
  os << llvm::formatv("{0:2}\n", value);
  return kOk;
}

static int writeResults(Session &session) {
  std::map<std::string, runtime::TensorView> views;
  for (const Slot &slot : session.lastRun()->slots)
    if (slot.kind == Kind::Output)
      if (auto *t = session.output(*session.lastRun(), slot.name))
        views[slot.name] = {t->dtype, t->shape, t->data.data()};
  for (const Slot *slot : session.carried()) {
    auto *t = session.find(slot->name);
    views[slot->name] = {t->dtype, t->shape, t->data.data()};
  }
  auto status = runtime::writeSafeTensors(resultsFile, views);
  return status ? int(kOk) : fail(status.message());
}

static void printUpdates(const Session &session) {
  for (const UpdateReport &u : session.updates)
    llvm::outs() << llvm::formatv(
        "{0,-32} {1,-9} {2,-12} gradient {3} bytes\n", u.param, u.placement,
        u.inCluster ? "one nest" : "alone", u.gradientBytes);
}

static runtime::FeedOptions feedOptions(uint64_t total) {
  runtime::FeedOptions options;
  options.shuffle = shuffle;
  options.seed = seed;
  options.steps = total;
  options.lastBatch =
      wrap ? runtime::LastBatch::Wrap : runtime::LastBatch::Drop;
  return options;
}

static int runTraining(ModuleOp module, Tensors &tensors) {
  SessionOptions options;
  options.entry = entry;
  options.schedule = schedule;
  options.cpu = cpu;
  options.eval = llvm::StringRef(evalName).ltrim('@').str();
  auto session = Session::create(module, options);
  if (failed(session))
    return kUsage;
  if (printSchedule)
    printUpdates(**session);
  std::string hash = hashOf(module);
  runtime::Cursor cursor;
  if (!resumeDir.empty()) {
    auto at = resume(resumeDir, hash, tensors);
    if (!at)
      return fail(at.message());
    cursor = *at;
  }
  if (randomInputs)
    if (auto status = addRandom((*session)->signature(), seed, tensors);
        !status)
      return fail(status.message());
  auto feed = makeFeed((*session)->signature(), tensors,
                       feedOptions(cursor.step + steps));
  if (!feed)
    return fail(feed.message());
  if (auto status = feed->setCursor(cursor); !status)
    return fail(status.message());
  if (auto status = (*session)->load(tensors); !status)
    return fail(status.message() + (randomInputs ? "" : "; --random-inputs draws what is missing"));

  Training training{**session, *feed, hash, {}, {}, {}, nullptr};
  if (!logFile.empty()) {
    training.log = std::fopen(logFile.c_str(), "w");
    if (!training.log)
      return fail("cannot write " + logFile);
    if (!llvm::StringRef(logFile).ends_with(".jsonl"))
      std::fprintf(training.log, "step,loss,ms\n");
  }
  std::signal(SIGINT, [](int) { interrupted = 1; });
  int code = training.run();
  if (training.log)
    std::fclose(training.log);
  if (code == kOk && !saveDir.empty())
    if (auto status = save(**session, saveDir, hash, feed->cursor()); !status)
      return fail(status.message());
  if (auto status = (*session)->flush(); !status)
    return fail(status.message(), kInternal);
  if (code == kOk && !options.eval.empty())
    code = training.evaluate();
  if (code == kOk && !resultsFile.empty() && (*session)->lastRun())
    code = writeResults(**session);
  if (!training.ms.empty())
    llvm::outs() << llvm::formatv(
        "{0}: {1} steps, {2:f3} ms/step (min {3:f3}), loss {4:f6}\n", schedule,
        training.ms.size(), summarize(training.ms).median,
        summarize(training.ms).min, training.losses.back());
  if (!reportFile.empty()) {
    auto json = reportOf(**session, training.ms, omp_get_max_threads());
    json["loss"] = lossArray(training.losses);
    llvm::json::Object eval;
    for (auto &[name, value] : training.metrics)
      eval[name] = value;
    json["eval"] = std::move(eval);
    if (!training.losses.empty() && hasLoss(**session) &&
        !std::isfinite(training.losses.back()))
      json["diverged_at_step"] = int64_t(training.losses.size());
    if (int status = writeReport(std::move(json)))
      return status;
  }
  return code == kOk && interrupted ? 130 : code;
}

static int runComparison(ModuleOp module, Tensors &tensors) {
  CompareOptions options;
  options.entry = entry;
  options.cpu = cpu;
  options.steps = steps;
  options.block = block;
  auto makeData = [&](const StepSignature &signature)
      -> runtime::Expected<runtime::DataFeed> {
    if (randomInputs)
      if (auto status = addRandom(signature, seed, tensors); !status)
        return runtime::Error{status.message()};
    return makeFeed(signature, tensors, feedOptions(0));
  };
  auto result = compareSchedules(module, options, tensors, makeData);
  if (!result)
    return result.message().empty() ? int(kUsage) : fail(result.message());
  llvm::outs() << result->table;
  if (!reportFile.empty())
    if (int code = writeReport(std::move(result->report)))
      return code;
  return result->equal ? kOk : kDiffers;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  (void)onlyOurOptions;
  cl::HideUnrelatedOptions(category);
  cl::AddExtraVersionPrinter([](llvm::raw_ostream &os) {
    os << "Plait " PLAIT_VERSION " (" PLAIT_GIT_HASH ")\n";
  });
  std::string usage;
  llvm::raw_string_ostream usageErrors(usage);
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Compile a training step in this process, and train.\n\n"
          "  plait-run examples/mlp.mlir --random-inputs --compare\n"
          "  plait-run step.mlir --inputs=init.safetensors "
          "--inputs=data.safetensors -n 500 --save=out\n",
          &usageErrors)) {
    llvm::errs() << usage;
    return kUsage;
  }
  if (wrap && dropLast)
    return fail("--wrap and --drop-last exclude each other");
  if (compareFlag && (!saveDir.empty() || !resumeDir.empty()))
    return fail("--compare neither saves nor resumes");
  if (!plait::train::symbolizePlacement(schedule))
    return fail("unknown --schedule=" + schedule +
                "; expected baseline, backward or forward");
  if (threads)
    omp_set_num_threads(threads);

  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registry.insert<plait::train::TrainDialect>();
  MLIRContext context(registry);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  OwningOpRef<ModuleOp> module =
      parseSourceFile<ModuleOp>(file, sources, &context);
  if (!module)
    return kUsage;
  Tensors tensors;
  if (auto status = readInputs(inputFiles, inputSingles, tensors); !status)
    return fail(status.message());
  return compareFlag ? runComparison(*module, tensors) : runTraining(*module, tensors);
}
