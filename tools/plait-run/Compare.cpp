//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Comparing schedules.
//
//===----------------------------------------------------------------------===//

#include "Compare.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>

using namespace plait;
using namespace plait::run;
using runtime::DataFeed;
using runtime::Error;
using runtime::Expected;
using runtime::Status;

namespace {
struct Comparison {
  bool equal = true;
  std::string table;
  llvm::json::Object report;
};

using MakeFeed = std::function<Expected<DataFeed>(const StepSignature &)>;

/// The outputs of a step by name, as hashes: what many steps give is large.
using Outputs = std::map<std::string, std::array<uint8_t, 32>>;

struct Entry {
  std::unique_ptr<Session> session;
  Trace trace;
  std::vector<Outputs> outputs; ///< of each step
  Tensors results; ///< parameters, states and buffers after the last step
  std::string difference;
};
} // namespace

static Outputs hashOutputs(Session &session) {
  Outputs outputs;
  const StepSignature &signature = *session.lastRun();
  for (const Slot &slot : signature.slots)
    if (slot.kind == Kind::Output) {
      const auto &data = session.output(signature, slot.name)->data;
      outputs[slot.name] =
          llvm::SHA256::hash(llvm::ArrayRef<uint8_t>(data.data(), data.size()));
    }
  return outputs;
}

static Status start(Entry &entry, const Tensors &tensors, DataFeed &feed) {
  if (Status status = entry.session->load(tensors); !status)
    return status;
  return feed.setCursor({});
}

/// Runs `steps` steps from the given state and flushes.
static Status trainFrom(Entry &entry, const Tensors &tensors, DataFeed &feed,
                        unsigned steps) {
  if (Status status = start(entry, tensors, feed); !status)
    return status;
  for (unsigned i = 0; i < steps; ++i) {
    if (Status status = entry.session->step(feed); !status)
      return status;
    entry.trace.losses.push_back(entry.session->loss());
    entry.outputs.push_back(hashOutputs(*entry.session));
  }
  if (Status status = entry.session->flush(); !status)
    return status;
  for (const Slot *slot : entry.session->carried()) {
    auto copy = entry.session->find(slot->name)->clone();
    if (!copy)
      return Error{copy.message()};
    entry.results[slot->name] = std::move(*copy);
  }
  return Status::success();
}

/// The first output or carried value that is not the reference's, bit for bit.
static std::string firstDifference(Entry &reference, Entry &other) {
  for (size_t step = 0; step < reference.outputs.size(); ++step)
    for (const auto &[name, hash] : reference.outputs[step])
      if (other.outputs[step][name] != hash)
        return name + " of step " + std::to_string(step + 1);
  for (const auto &[name, tensor] : reference.results)
    if (std::memcmp(tensor.data.data(), other.results[name].data.data(),
                    tensor.data.size()) != 0)
      return name;
  return "";
}

/// One timed block, from the initial values; its first three steps warm the
/// caches and are not counted.
static Status timeBlock(Entry &entry, const Tensors &tensors, DataFeed &feed,
                        unsigned block) {
  if (Status status = start(entry, tensors, feed); !status)
    return status;
  for (unsigned i = 0; i < block; ++i) {
    auto start = std::chrono::steady_clock::now();
    if (Status status = entry.session->step(feed); !status)
      return status;
    double ms = std::chrono::duration<double, std::milli>(
                    std::chrono::steady_clock::now() - start)
                    .count();
    if (i >= 3 || block <= 3)
      entry.trace.ms.push_back(ms);
  }
  return Status::success();
}

static void writeTable(Comparison &result, std::vector<Entry> &entries) {
  llvm::raw_string_ostream os(result.table);
  os << llvm::formatv("{0,-10}{1,12}{2,12}{3,10}{4,16}{5,14}{6,14}  {7}\n",
                      "schedule", "min ms", "median ms", "ratio",
                      "gradient bytes", "pending bytes", "peak bytes",
                      "against baseline");
  llvm::json::Array reports;
  double base = summarize(entries.front().trace.ms).min;
  for (Entry &entry : entries) {
    Summary time = summarize(entry.trace.ms);
    llvm::json::Object report = reportOf(*entry.session, entry.trace);
    std::string verdict = entry.difference.empty()
                              ? "equal bit for bit"
                              : "DIFFERS in " + entry.difference;
    os << llvm::formatv(
        "{0,-10}{1,12:f3}{2,12:f3}{3,10:f3}{4,16}{5,14}{6,14}  {7}\n",
        entry.session->schedule(), time.min, time.median, time.min / base,
        entry.session->gradientBytes(), entry.session->bytesOf(Kind::Pending),
        *report.getInteger("peak_bytes"), verdict);
    report["equal"] = entry.difference.empty();
    report["final_loss"] = toJson(entry.trace.losses.back());
    reports.push_back(std::move(report));
  }
  result.report["schedules"] = std::move(reports);
  result.report["equal"] = result.equal;
}

/// Equal numbers that are none prove little.
static void warnIfDiverged(const RunOptions &options, const Entry &entry) {
  for (auto [i, loss] : llvm::enumerate(entry.trace.losses))
    if (!std::isfinite(loss) && hasLoss(*entry.session))
      return warn(options,
                  "the loss is not finite from step " + llvm::Twine(i + 1) +
                      " on; what is compared after that proves little");
}

/// An empty message means that a diagnostic was printed.
static Expected<Comparison> compareSchedules(mlir::ModuleOp module,
                                             const RunOptions &options,
                                             Tensors &tensors,
                                             const MakeFeed &makeFeed,
                                             ReasonCollector &reasons) {
  std::vector<Entry> entries;
  // One memory for all: where it lies is then no difference between schedules.
  auto memory = std::make_shared<SessionMemory>();
  for (const char *name : {"baseline", "backward", "forward"}) {
    SessionOptions session = options.session();
    session.schedule = name;
    auto made = Session::create(module, session, memory);
    if (failed(made))
      return Error{""};
    entries.push_back(
        {std::move(*made), {reasons.take(), {}, {}, 0}, {}, {}, ""});
  }
  const StepSignature &signature = entries.front().session->signature();
  warnUnused(options, "--inputs", &signature, tensors);
  Comparison result;
  auto feed = makeFeed(signature);
  if (!feed)
    return Error{feed.message()};
  for (Entry &entry : entries) {
    if (Status s = trainFrom(entry, tensors, *feed, options.steps); !s)
      return Error{s.message()};
    if (&entry == &entries.front())
      warnIfDiverged(options, entry);
    entry.difference = firstDifference(entries.front(), entry);
    result.equal &= entry.difference.empty();
    if (&entry != &entries.front())
      entry.results.clear();
  }
  unsigned blocks = std::max(3u, options.steps / options.block);
  for (unsigned i = 0; i < blocks; ++i)
    for (unsigned j = 0; j < entries.size(); ++j) {
      Entry &entry = entries[(i + j) % entries.size()];
      if (Status s = timeBlock(entry, tensors, *feed, options.block); !s)
        return Error{s.message()};
    }
  writeTable(result, entries);
  return result;
}

int run::runComparison(mlir::ModuleOp module, const RunOptions &options,
                       Tensors &tensors, ReasonCollector &reasons) {
  if (auto status = checkOutput("--report", options.report); !status)
    return fail(options, status.message());
  auto order = settleOrder(options, nullptr);
  if (!order)
    return fail(options, order.message());
  auto makeData = [&](const StepSignature &signature) -> Expected<DataFeed> {
    if (options.randomInputs)
      if (Status status = addRandom(signature, order->seed, tensors); !status)
        return Error{status.message()};
    if (Status status = checkComplete(signature, tensors); !status)
      return status;
    return makeFeed(signature, tensors, feedOptions(*order, 0), inputAdvice);
  };
  auto result = compareSchedules(module, options, tensors, makeData, reasons);
  if (!result)
    return fail(options, result.message());
  llvm::outs() << result->table;
  if (!options.report.empty())
    if (int code = writeReport(options, std::move(result->report)))
      return code;
  return result->equal ? kOk : kDiffers;
}
