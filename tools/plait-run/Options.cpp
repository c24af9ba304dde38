//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The command line of plait-run: the options, and which go together.
//
//===----------------------------------------------------------------------===//

#include "Options.h"

#include "plait/Transforms.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

using namespace plait;
using namespace plait::run;
namespace cl = llvm::cl;

// libLLVM registers hundreds of options of its own (one is called --threads);
// a user of this tool has no use for them.
static const bool onlyOurOptions = (cl::ResetCommandLineParser(), true);

// --help prints the groups, and the options of each, in alphabetical order.
static cl::OptionCategory comparing("Comparing schedules");
static cl::OptionCategory data("Data");
static cl::OptionCategory judging("Evaluating");
static cl::OptionCategory running("Running");
static cl::OptionCategory saving("Saving and going on");
static cl::OptionCategory writing("Writing about a run");
static cl::OptionCategory emitting("Writing code");

#define PLAIT_OPT(TYPE, VAR, GROUP, NAME, ...)                                 \
  static TYPE VAR(NAME, cl::cat(GROUP), __VA_ARGS__)

PLAIT_OPT(cl::opt<std::string>, file, running, cl::Positional, cl::Required,
          cl::desc("<step.mlir>"));

PLAIT_OPT(cl::opt<bool>, compareFlag, comparing, "compare",
          cl::desc("Run every schedule on the same inputs and print a table;\n"
                   "exit code 1 where a result differs from baseline's by a "
                   "bit"));
PLAIT_OPT(cl::opt<unsigned>, block, comparing, "block", cl::init(20),
          cl::desc("Steps in a timed block (default 20)"), cl::value_desc("N"));

PLAIT_OPT(cl::list<std::string>, inputFiles, data, "inputs",
          cl::desc("safetensors with parameters, states and inputs, by name;\n"
                   "an input may have more rows than a step takes. Repeatable"),
          cl::value_desc("file"));
PLAIT_OPT(cl::list<std::string>, inputSingles, data, "input",
          cl::desc("One tensor. Repeatable"), cl::value_desc("name=@file.npy"));
PLAIT_OPT(cl::opt<bool>, randomInputs, data, "random-inputs",
          cl::desc("Draw what no file gives"));
PLAIT_OPT(cl::opt<uint64_t>, seed, data, "seed", cl::init(0),
          cl::desc("Of --random-inputs and --shuffle (default 0; with\n"
                   "--resume the save's, as --shuffle and --wrap)"),
          cl::value_desc("S"));
PLAIT_OPT(cl::opt<bool>, shuffle, data, "shuffle",
          cl::desc("Draw a new order of the rows for each epoch"));
PLAIT_OPT(cl::opt<bool>, wrap, data, "wrap",
          cl::desc("Complete an epoch's last batch from the next epoch"));
PLAIT_OPT(cl::opt<bool>, dropLast, data, "drop-last",
          cl::desc("Drop an epoch's incomplete last batch (default)"));

PLAIT_OPT(cl::opt<std::string>, evalName, judging, "eval",
          cl::desc("Function that judges the parameters; its f32 outputs are\n"
                   "averaged over the batches of --eval-inputs"),
          cl::value_desc("@function"));
PLAIT_OPT(cl::list<std::string>, evalFiles, judging, "eval-inputs",
          cl::desc("safetensors with held-out data. Repeatable"),
          cl::value_desc("file"));
PLAIT_OPT(cl::opt<unsigned>, evalEvery, judging, "eval-every", cl::init(0),
          cl::desc("Every N steps, and at the end (default: at the end)"),
          cl::value_desc("N"));

PLAIT_OPT(cl::opt<std::string>, entry, running, "entry-point",
          cl::desc("Function to train (default: the only one that carries\n"
                   "parameters on)"),
          cl::value_desc("name"));
// Aliases are hidden unless they say otherwise.
static cl::alias entryShort("e", cl::aliasopt(entry), cl::cat(running),
                            cl::NotHidden,
                            cl::desc("The same as --entry-point: -e step"),
                            cl::value_desc("name"));
PLAIT_OPT(cl::opt<unsigned>, steps, running, "steps", cl::init(100),
          cl::desc("Steps to run (default 100)"), cl::value_desc("N"));
static cl::alias stepsShort("n", cl::aliasopt(steps), cl::cat(running),
                            cl::NotHidden,
                            cl::desc("The same as --steps: -n 500"),
                            cl::value_desc("N"));
PLAIT_OPT(cl::opt<std::string>, schedule, running, "schedule",
          cl::init("backward"),
          cl::desc("Where updates run: baseline (after all gradients),\n"
                   "backward (with their gradient; default), forward (with\n"
                   "their first reader in the next step), or auto"),
          cl::value_desc("where"));
PLAIT_OPT(cl::opt<std::string>, layout, running, "layout", cl::init("auto"),
          cl::desc("How weights lie in memory during a run: auto (in blocks\n"
                   "where products of few rows read them; default) or\n"
                   "row-major. Files are always row-major"),
          cl::value_desc("name"));
PLAIT_OPT(cl::opt<std::string>, backend, running, "backend", cl::init("auto"),
          cl::desc("Code generator: llvm, or auto (default), which is llvm"),
          cl::value_desc("name"));
PLAIT_OPT(cl::opt<unsigned>, threads, running, "threads", cl::init(0),
          cl::desc("At most 1024 (default: all processors)"),
          cl::value_desc("N"));
PLAIT_OPT(
    cl::opt<std::string>, cpu, running, "mcpu",
    cl::desc("CPU to generate code for (default: this one); with --emit,\n"
             "of x86-64 or AArch64"),
    cl::value_desc("name"));
// 0 is what the target says.
PLAIT_OPT(cl::opt<int64_t>, l1Bytes, running, "l1-bytes", cl::init(0),
          cl::desc("Data that the first cache holds for a core, for blocks of\n"
                   "products (default: this machine's, or by --mcpu); no bit\n"
                   "depends on it"),
          cl::value_desc("N"));
PLAIT_OPT(cl::opt<int64_t>, l2Bytes, running, "l2-bytes", cl::init(0),
          cl::desc("The same of the second cache, for panels as well"),
          cl::value_desc("N"));
// Of the cost model; 0 is what the target says.
PLAIT_OPT(cl::opt<int64_t>, cacheBytes, running, "cache-bytes", cl::init(0),
          cl::desc("With --schedule=auto: size of the last-level cache\n"
                   "(default: this machine's; 32 MiB with --mcpu)"),
          cl::value_desc("N"));
PLAIT_OPT(
    cl::opt<double>, coreGflops, running, "core-gflops", cl::init(0),
    cl::desc("With --schedule=auto: GFLOP/s of one core (default: by its\n"
             "vectors)"),
    cl::value_desc("X"));
PLAIT_OPT(cl::opt<double>, cacheGbs, running, "cache-gbs", cl::init(0),
          cl::desc("With --schedule=auto: GB/s of one core in the last-level\n"
                   "cache (default: by its vectors)"),
          cl::value_desc("X"));
PLAIT_OPT(cl::opt<double>, memoryGbs, running, "memory-gbs", cl::init(0),
          cl::desc("With --schedule=auto: GB/s of one core in memory (default\n"
                   "56)"),
          cl::value_desc("X"));
PLAIT_OPT(cl::opt<bool>, epilogues, running, "epilogues", cl::init(true),
          cl::desc("Apply elementwise ops to the sums of products (default\n"
                   "on); no bit depends on it"));
PLAIT_OPT(cl::opt<bool>, sideBySide, running, "side-by-side", cl::init(true),
          cl::desc("Run loops that do not depend on each other at the same\n"
                   "time (default on); no bit depends on it"));
PLAIT_OPT(cl::opt<bool>, checkFinite, running, "check-finite", cl::init(true),
          cl::desc("Stop at the first loss that is not finite (default on)"));

PLAIT_OPT(cl::opt<std::string>, saveDir, saving, "save",
          cl::desc("At the end, write DIR/model.safetensors and\n"
                   "DIR/optimizer.safetensors"),
          cl::value_desc("DIR"));
PLAIT_OPT(cl::opt<unsigned>, saveEvery, saving, "save-every", cl::init(0),
          cl::desc("Also write the two files every N steps, into DIR/step-N"),
          cl::value_desc("N"));
PLAIT_OPT(cl::opt<unsigned>, keep, saving, "keep", cl::init(0),
          cl::desc("Keep the last K of --save-every (default: all); an older\n"
                   "one goes when the new one is complete"),
          cl::value_desc("K"));
PLAIT_OPT(cl::opt<std::string>, resumeDir, saving, "resume",
          cl::desc("Go on from the latest save in DIR, its own or a step-N"),
          cl::value_desc("DIR"));

PLAIT_OPT(cl::opt<std::string>, logFile, writing, "log",
          cl::desc("A line a step: step, loss, ms; as CSV, or as JSON where\n"
                   "the name ends in .jsonl"),
          cl::value_desc("file"));
PLAIT_OPT(cl::opt<std::string>, reportFile, writing, "report",
          cl::desc("What ran and how fast, as JSON (docs/ABI.md)"),
          cl::value_desc("file"));
PLAIT_OPT(cl::opt<std::string>, resultsFile, writing, "results",
          cl::desc("All results of the last step as safetensors: outputs,\n"
                   "next values after the last flush, pending values"),
          cl::value_desc("file"));
PLAIT_OPT(cl::opt<bool>, printSchedule, writing, "print-schedule",
          cl::desc("Print where each update went"));

PLAIT_OPT(cl::opt<std::string>, emitFormat, emitting, "emit",
          cl::desc("Write the step's code, and run nothing: llvm (LLVM IR),\n"
                   "asm or obj. How its functions are called: docs/ABI.md"),
          cl::value_desc("format"));
PLAIT_OPT(cl::opt<std::string>, output, emitting, "o",
          cl::desc("Where to (default: standard output)"),
          cl::value_desc("file"));

static const char *const overview =
    R"(Compile a training step in this process, and train.

Compare the schedules on random numbers; this needs no files:
  plait-run examples/mlp.mlir --random-inputs --compare

Train on data and save, then train on from the save:
  plait-run step.mlir --inputs=init.safetensors --inputs=data.safetensors -n 500 --save=out
  plait-run step.mlir --inputs=data.safetensors -n 500 --resume=out --save=out

Judge held-out data every 100 steps, by another function of the file:
  plait-run step.mlir --inputs=init.safetensors --inputs=data.safetensors -n 500 \
      --eval=@eval --eval-inputs=test.safetensors --eval-every=100

A step is a function with the attribute 'train.step'; plait.torch.export_step and
plait.jax.export_step write one, with its tensors. Tensors go by name: fc1.weight
(a parameter), state.fc1.weight.exp_avg, x (an input).

Exit codes: 0 done, 1 a comparison differs or the loss is not finite, 2 bad usage
or input, 3 an internal error, 130 interrupted.
)";

int run::fail(const RunOptions &options, const llvm::Twine &message, int code) {
  if (std::string text = message.str(); !text.empty())
    llvm::errs() << options.file << ": error: " << text << '\n';
  return code;
}

void run::warn(const RunOptions &options, const llvm::Twine &message) {
  llvm::errs() << options.file << ": warning: " << message << '\n';
}

/// "DIR/" and "DIR" are the same directory; messages name it once.
static std::string withoutSlash(llvm::StringRef path) {
  return path.size() > 1 ? path.rtrim('/').str() : path.str();
}

/// What --emit names, or nothing.
static std::optional<CodeFormat> parseFormat() {
  return llvm::StringSwitch<std::optional<CodeFormat>>(emitFormat)
      .Case("llvm", CodeFormat::Llvm)
      .Case("asm", CodeFormat::Assembly)
      .Case("obj", CodeFormat::Object)
      .Default(std::nullopt);
}

static RunOptions collect() {
  RunOptions options;
  options.file = file;
  options.entry = entry;
  options.schedule = schedule;
  options.cpu = cpu;
  options.layout = layout == "auto" ? Layout::Auto : Layout::RowMajor;
  if (emitFormat.getNumOccurrences())
    options.emit = parseFormat();
  options.output = output;
  options.caches = {l1Bytes, l2Bytes};
  options.cost = {cacheBytes, coreGflops, cacheGbs, memoryGbs};
  options.epilogues = epilogues;
  options.sideBySide = sideBySide;
  options.inputFiles = inputFiles;
  options.inputSingles = inputSingles;
  options.randomInputs = randomInputs;
  if (seed.getNumOccurrences())
    options.seed = seed;
  if (shuffle.getNumOccurrences())
    options.shuffle = shuffle;
  if (wrap.getNumOccurrences())
    options.wrap = wrap;
  if (dropLast.getNumOccurrences())
    options.wrap = !dropLast;
  options.steps = steps;
  options.threads = threads;
  options.eval = llvm::StringRef(evalName).ltrim('@').str();
  options.evalFiles = evalFiles;
  options.evalEvery = evalEvery;
  options.results = resultsFile;
  options.log = logFile;
  options.report = reportFile;
  options.save = withoutSlash(saveDir);
  options.resume = withoutSlash(resumeDir);
  options.saveEvery = saveEvery;
  options.keep = keep;
  options.checkFinite = checkFinite;
  options.printSchedule = printSchedule;
  options.compare = compareFlag;
  options.block = block;
  return options;
}

static bool given(const cl::Option &option) {
  return option.getNumOccurrences() != 0;
}

/// As it is written on a command line.
static std::string nameOf(cl::Option &option) {
  return ((option.ArgStr.size() == 1 ? "-" : "--") + option.ArgStr).str();
}

/// The first option that says nothing beside the others, as a message.
static std::string idleOption() {
  std::pair<cl::Option &, cl::Option &> needs[] = {
      {keep, saveEvery},     {saveEvery, saveDir}, {evalFiles, evalName},
      {evalEvery, evalName}, {block, compareFlag}, {output, emitFormat}};
  for (auto &[option, other] : needs)
    if (given(option) && !given(other))
      return nameOf(option) + " needs " + nameOf(other);
  cl::Option *notCompared[] = {
      &saveDir,  &resumeDir,     &resultsFile, &logFile,   &evalName,
      &schedule, &printSchedule, &checkFinite, &epilogues, &sideBySide};
  for (cl::Option *option : notCompared)
    if (compareFlag && given(*option))
      return ("--compare excludes --" + option->ArgStr +
              ": it runs every schedule, and writes a table and --report only")
          .str();
  // What a script's empty variable leaves; the run would go on without.
  for (cl::opt<std::string> *text :
       {&entry, &evalName, &resultsFile, &logFile, &reportFile, &saveDir,
        &resumeDir, &output})
    if (given(*text) && text->empty())
      return nameOf(*text) + "= names nothing; leave it out";
  for (cl::opt<unsigned> *number : {&keep, &saveEvery, &evalEvery, &block})
    if (given(*number) && *number == 0)
      return ("--" + number->ArgStr + "=0 asks for nothing; leave it out")
          .str();
  return "";
}

/// What is wrong with --emit, or an empty string.
static std::string checkEmit() {
  if (!given(emitFormat))
    return "";
  if (!parseFormat())
    return "unknown --emit=" + emitFormat + "; expected llvm, asm or obj";
  if (emitFormat == "obj" && !given(output))
    return "--emit=obj needs -o";
  const cl::OptionCategory *runs[] = {&comparing, &data, &judging, &saving,
                                      &writing};
  for (auto &entry : cl::getRegisteredOptions()) {
    cl::Option &option = *entry.second;
    bool isOfRun = &option == &steps || &option == &threads ||
                   &option == &checkFinite ||
                   llvm::is_contained(runs, option.Categories.front());
    if (given(option) && isOfRun)
      return ("--emit excludes --" + option.ArgStr +
              ": it writes code, and runs nothing")
          .str();
  }
  return "";
}

/// What is wrong with sizes of caches, or an empty string.
static std::string checkCaches() {
  for (cl::opt<int64_t> *bytes : {&l1Bytes, &l2Bytes})
    if (given(*bytes) && *bytes <= 0)
      return ("--" + bytes->ArgStr + " must be above 0").str();
  if (given(l1Bytes) && given(l2Bytes) && l2Bytes < l1Bytes)
    return "--l2-bytes is less than --l1-bytes; the second cache is the larger";
  return "";
}

/// What is wrong with the constants of the cost model, or an empty string.
static std::string checkCost() {
  std::pair<cl::Option &, bool> constants[] = {{cacheBytes, cacheBytes > 0},
                                               {coreGflops, coreGflops > 0},
                                               {cacheGbs, cacheGbs > 0},
                                               {memoryGbs, memoryGbs > 0}};
  for (auto &[option, isPositive] : constants) {
    if (!given(option))
      continue;
    if (schedule != "auto")
      return ("--" + option.ArgStr + " needs --schedule=auto").str();
    if (!isPositive)
      return ("--" + option.ArgStr + " must be above 0").str();
  }
  return "";
}

/// More than any machine has; OpenMP's runtime aborts where it cannot start as
/// many as it is asked for.
static constexpr unsigned kMaxThreads = 1024;

/// What is wrong with --backend, or an empty string.
static std::string checkBackend() {
  if (backend == "llvm" || backend == "auto")
    return "";
  std::string option = "--backend=" + backend;
  if (backend == "halide")
    return option + ": there is no Halide backend yet; use --backend=llvm, or "
                    "leave the option out";
  return "unknown " + option + "; expected llvm or auto";
}

/// What the options say together: the message of the first contradiction, or
/// an empty string.
static std::string contradiction() {
  if (given(wrap) && given(dropLast))
    return "--wrap and --drop-last exclude each other";
  if (std::string message = idleOption(); !message.empty())
    return message;
  if (threads > kMaxThreads)
    return "--threads=" + std::to_string(threads) + ": at most " +
           std::to_string(kMaxThreads);
  if (steps == 0 && (compareFlag || given(resultsFile)))
    return std::string(compareFlag ? "--compare" : "--results") +
           " needs at least one step; --steps=0 runs none";
  if (!parsePolicy(schedule))
    return "unknown --schedule=" + schedule +
           "; expected baseline, backward, forward or auto";
  if (layout != "auto" && layout != "row-major")
    return "unknown --layout=" + layout + "; expected auto or row-major";
  for (auto *check : {checkCost, checkCaches, checkEmit})
    if (std::string message = check(); !message.empty())
      return message;
  return checkBackend();
}

SessionOptions RunOptions::session() const {
  SessionOptions session;
  session.entry = entry;
  session.schedule = schedule;
  session.cpu = cpu;
  session.layout = layout;
  session.caches = caches;
  session.cost = cost;
  session.epilogues = epilogues;
  session.sideBySide = sideBySide;
  session.eval = eval;
  return session;
}

std::optional<RunOptions> run::parseOptions(int argc, char **argv) {
  (void)onlyOurOptions;
  cl::HideUnrelatedOptions(
      {&comparing, &data, &judging, &running, &saving, &writing, &emitting});
  cl::AddExtraVersionPrinter([](llvm::raw_ostream &os) {
    os << "Plait " PLAIT_VERSION " (" PLAIT_GIT_HASH ")\n";
  });
  std::string usage;
  llvm::raw_string_ostream usageErrors(usage);
  if (!cl::ParseCommandLineOptions(argc, argv, overview, &usageErrors)) {
    llvm::errs() << usage;
    return std::nullopt;
  }
  RunOptions options = collect();
  if (std::string message = contradiction(); !message.empty()) {
    fail(options, message);
    return std::nullopt;
  }
  return options;
}
