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

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

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
PLAIT_OPT(cl::list<std::string>, inputSingles, "input", cl::desc("One input"),
          cl::value_desc("name=@file.npy"));
PLAIT_OPT(cl::opt<bool>, randomInputs, "random-inputs",
          cl::desc("Draw what no file gives"));
PLAIT_OPT(cl::opt<uint64_t>, seed, "seed", cl::init(0),
          cl::desc("Seed of --random-inputs and --shuffle (default 0; with "
                   "--resume: the save's, as --shuffle and --wrap)"));
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
          cl::desc("Where updates run: baseline, backward (default), "
                   "forward or auto"));
PLAIT_OPT(cl::opt<unsigned>, threads, "threads", cl::init(0),
          cl::desc("Threads, at most 1024 (default: all processors)"));
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
          cl::desc("Write all results of the last step: outputs, next values "
                   "after the last flush, pending values"),
          cl::value_desc("file.safetensors"));
PLAIT_OPT(cl::opt<std::string>, logFile, "log",
          cl::desc("Write a line a step: step, loss, ms"),
          cl::value_desc("file.csv|file.jsonl"));
PLAIT_OPT(cl::opt<std::string>, reportFile, "report",
          cl::desc("Write what ran and how fast"), cl::value_desc("file.json"));
PLAIT_OPT(cl::opt<std::string>, saveDir, "save",
          cl::desc("At the end, write DIR/model.safetensors and "
                   "DIR/optimizer.safetensors"),
          cl::value_desc("DIR"));
PLAIT_OPT(cl::opt<unsigned>, saveEvery, "save-every", cl::init(0),
          cl::desc("Also write the same files every N steps, into DIR/step-N"),
          cl::value_desc("N"));
PLAIT_OPT(cl::opt<unsigned>, keep, "keep", cl::init(0),
          cl::desc("Keep the last K of --save-every (default: all); an older "
                   "one goes when the new one is complete"),
          cl::value_desc("K"));
PLAIT_OPT(cl::opt<std::string>, resumeDir, "resume",
          cl::desc("Go on from the latest save in DIR: its own or a step-N"),
          cl::value_desc("DIR"));
PLAIT_OPT(cl::opt<bool>, checkFinite, "check-finite", cl::init(true),
          cl::desc("Stop at the first loss that is not finite (default on)"));
PLAIT_OPT(cl::opt<bool>, compareFlag, "compare",
          cl::desc("Run every schedule on the same inputs; exit 1 where one "
                   "differs from baseline by a single bit"));
PLAIT_OPT(cl::opt<unsigned>, block, "block", cl::init(20),
          cl::desc("Steps in a timed block of --compare (default 20)"));
PLAIT_OPT(cl::opt<bool>, printSchedule, "print-schedule",
          cl::desc("Print where each update went"));

int run::fail(const RunOptions &options, const llvm::Twine &message, int code) {
  llvm::errs() << options.file << ": error: " << message << '\n';
  return code;
}

void run::warn(const RunOptions &options, const llvm::Twine &message) {
  llvm::errs() << options.file << ": warning: " << message << '\n';
}

/// "DIR/" and "DIR" are the same directory; messages name it once.
static std::string withoutSlash(llvm::StringRef path) {
  return path.size() > 1 ? path.rtrim('/').str() : path.str();
}

static RunOptions collect() {
  RunOptions options;
  options.file = file;
  options.entry = entry;
  options.schedule = schedule;
  options.cpu = cpu;
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

/// The first option that says nothing beside the others, as a message.
static std::string idleOption() {
  std::pair<cl::Option &, cl::Option &> needs[] = {{keep, saveEvery},
                                                   {saveEvery, saveDir},
                                                   {evalFiles, evalName},
                                                   {evalEvery, evalName},
                                                   {block, compareFlag}};
  for (auto &[option, other] : needs)
    if (given(option) && !given(other))
      return ("--" + option.ArgStr + " needs --" + other.ArgStr).str();
  cl::Option *notCompared[] = {&saveDir,       &resumeDir,  &resultsFile,
                               &logFile,       &evalName,   &schedule,
                               &printSchedule, &checkFinite};
  for (cl::Option *option : notCompared)
    if (compareFlag && given(*option))
      return ("--compare excludes --" + option->ArgStr +
              ": it runs every schedule, and writes a table and --report only")
          .str();
  // What a script's empty variable leaves; the run would go on without.
  for (cl::opt<std::string> *text : {&entry, &evalName, &resultsFile, &logFile,
                                     &reportFile, &saveDir, &resumeDir})
    if (given(*text) && text->empty())
      return ("--" + text->ArgStr + "= names nothing; leave it out").str();
  for (cl::opt<unsigned> *number : {&keep, &saveEvery, &evalEvery, &block})
    if (given(*number) && *number == 0)
      return ("--" + number->ArgStr + "=0 asks for nothing; leave it out")
          .str();
  return "";
}

/// More than any machine has; OpenMP's runtime aborts where it cannot start as
/// many as it is asked for.
static constexpr unsigned kMaxThreads = 1024;

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
  return "";
}

std::optional<RunOptions> run::parseOptions(int argc, char **argv) {
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
    return std::nullopt;
  }
  RunOptions options = collect();
  if (std::string message = contradiction(); !message.empty()) {
    fail(options, message);
    return std::nullopt;
  }
  return options;
}
