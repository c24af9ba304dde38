//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Saves: a numbered one is written under a hidden name, then renamed; one that
// is to go is renamed first, then removed. A crash leaves no half save under a
// name that --resume looks at.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include "plait/Runtime/File.h"
#include "plait/Runtime/SafeTensors.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <set>

using namespace plait;
using namespace plait::run;
using namespace plait::runtime;
namespace fs = llvm::sys::fs;

static const char *const kModel = "model.safetensors";
static const char *const kOptimizer = "optimizer.safetensors";

static std::string numbered(const std::string &directory, uint64_t step) {
  return directory + "/step-" + std::to_string(step);
}

/// Writes the two files into `directory`, which is made where it is missing.
static Status writeFiles(Session &session, const std::string &directory,
                         const SaveInfo &info) {
  if (std::error_code error = fs::create_directories(directory))
    return Error{directory + ": " + error.message()};
  if (Status status = session.flush(); !status)
    return status;
  auto view = [&](const std::string &name) {
    HostTensor *tensor = session.find(name);
    return TensorView{tensor->dtype, tensor->shape, tensor->data.data()};
  };
  std::map<std::string, TensorView> model, optimizer;
  std::set<std::string> placed;
  for (const auto &[key, name] : session.modelKeys) {
    model[key] = view(name);
    placed.insert(name);
  }
  // What the model does not know, such as the state of a random generator, is
  // beside the optimizer's: strict loaders take all of the model's file.
  bool isModels = session.modelKeys.empty();
  for (const Slot *slot : session.carried())
    if (!placed.count(slot->name))
      (isModels && slot->kind != Kind::State ? model
                                             : optimizer)[slot->name] =
          view(slot->name);
  Metadata metadata = {{"format", "pt"},
                       {"plait_version", PLAIT_VERSION},
                       {"module_hash", info.moduleHash},
                       {"global_step", std::to_string(info.cursor.step)},
                       {"data_cursor", formatCursor(info.cursor)},
                       {"rng", formatOrder(info.order)}};
  if (Status status =
          writeSafeTensors(directory + "/" + kModel, model, metadata);
      !status)
    return status;
  return writeSafeTensors(directory + "/" + kOptimizer, optimizer, metadata);
}

Status run::save(Session &session, const std::string &directory,
                 const SaveInfo &info) {
  return writeFiles(session, directory, info);
}

/// The N of every step-N in `directory`, ascending; none where it cannot be
/// read.
static std::vector<uint64_t> stepsIn(const std::string &directory) {
  std::vector<uint64_t> steps;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; it != end && !error;
       it.increment(error)) {
    llvm::StringRef name = llvm::sys::path::filename(it->path());
    uint64_t step;
    if (name.consume_front("step-") && !name.getAsInteger(10, step) &&
        std::to_string(step) == name)
      steps.push_back(step);
  }
  llvm::sort(steps);
  return steps;
}

/// Whether `directory` holds a save of this module and nothing else.
static bool holdsOnlySave(const std::string &directory,
                          const std::string &moduleHash) {
  std::error_code error;
  unsigned files = 0;
  for (fs::directory_iterator it(directory, error), end; it != end && !error;
       it.increment(error), ++files) {
    llvm::StringRef name = llvm::sys::path::filename(it->path());
    if (name != kModel && name != kOptimizer)
      return false;
    auto header = readSafeTensorsHeader(it->path());
    if (!header || header->metadata["module_hash"] != moduleHash)
      return false;
  }
  return !error && files == 2;
}

static Status removeSave(const std::string &directory, uint64_t step) {
  std::string hidden =
      directory + "/.step-" + std::to_string(step) + ".removed";
  if (Status status = renameDurably(numbered(directory, step), hidden); !status)
    return status;
  for (std::string path :
       {hidden + "/" + kModel, hidden + "/" + kOptimizer, hidden})
    if (std::error_code error = fs::remove(path))
      return Error{path + ": " + error.message()};
  return Status::success();
}

Status run::saveNumbered(Session &session, const std::string &directory,
                         const SaveInfo &info, unsigned keep) {
  std::string hidden =
      directory + "/.step-" + std::to_string(info.cursor.step) + ".partial";
  // What a run that was killed left, or a disk that was full.
  if (std::error_code error = fs::remove_directories(hidden, false))
    return Error{hidden + ": " + error.message()};
  if (Status status = writeFiles(session, hidden, info); !status) {
    fs::remove_directories(hidden);
    return status;
  }
  if (Status status =
          renameDurably(hidden, numbered(directory, info.cursor.step));
      !status)
    return status;
  if (keep == 0)
    return Status::success();
  std::vector<uint64_t> ours;
  for (uint64_t step : stepsIn(directory))
    if (holdsOnlySave(numbered(directory, step), info.moduleHash))
      ours.push_back(step);
  for (size_t i = 0; i + keep < ours.size(); ++i)
    if (Status status = removeSave(directory, ours[i]); !status)
      return status;
  return Status::success();
}

/// The step of the save in `directory` itself; nothing where there is none.
static std::optional<uint64_t> stepOf(const std::string &directory) {
  auto header = readSafeTensorsHeader(directory + "/" + kModel);
  if (!header)
    return std::nullopt;
  auto cursor = parseCursor(header->metadata["data_cursor"]);
  return cursor ? std::optional<uint64_t>(cursor->step) : std::nullopt;
}

Status run::checkUnmixed(const std::string &directory, uint64_t step,
                         bool writesNumbered) {
  std::string later;
  for (uint64_t other : stepsIn(directory))
    if (other > step)
      later = numbered(directory, other);
  if (writesNumbered && later.empty() && stepOf(directory).value_or(0) > step)
    later = directory;
  if (later.empty())
    return Status::success();
  return Error{later +
               " holds a save of a later step than this run begins "
               "with (" +
               std::to_string(step) +
               "), so it belongs to another run; go on from it with --resume=" +
               directory + ", or save into another directory"};
}

/// The directory with the latest save: `directory` itself, or a step-N in it.
static std::string latestIn(const std::string &directory) {
  std::optional<uint64_t> own = stepOf(directory);
  std::vector<uint64_t> steps = stepsIn(directory);
  if (steps.empty() || (own && *own >= steps.back()))
    return directory;
  return numbered(directory, steps.back());
}

Expected<Resumed> run::resume(const std::string &directory,
                              const std::string &moduleHash, Tensors &tensors) {
  Resumed resumed;
  resumed.directory = latestIn(directory);
  Metadata metadata, first;
  for (const char *name : {kModel, kOptimizer}) {
    std::string file = resumed.directory + "/" + name;
    auto read = readSafeTensors(file);
    if (!read)
      return Error{read.message()};
    metadata = read->metadata;
    if (metadata["module_hash"] != moduleHash)
      return Error{file + ": was saved by another module (hash " +
                   printable(metadata["module_hash"]) + ", this one is '" +
                   moduleHash +
                   "'); load it with --inputs to start anew from its values"};
    // Both files of one save agree; a crash between the two writes shows here.
    if (!first.empty() && first != metadata)
      return Error{resumed.directory +
                   ": model and optimizer are of different steps; resume from "
                   "another save, if there is one: DIR/step-N of --save-every"};
    first = metadata;
    for (auto &[key, tensor] : read->tensors)
      tensors[key] = std::move(tensor);
  }
  auto cursor = parseCursor(metadata["data_cursor"]);
  if (!cursor)
    return Error{resumed.directory + ": " + cursor.message()};
  auto order = parseOrder(metadata["rng"]);
  if (!order)
    return Error{resumed.directory + ": " + order.message()};
  resumed.info = {moduleHash, *order, *cursor};
  return resumed;
}
