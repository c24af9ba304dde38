//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Input files and random inputs.
//
//===----------------------------------------------------------------------===//

#include "Data.h"

#include "plait/Runtime/Npy.h"
#include "plait/Runtime/SafeTensors.h"
#include "plait/Runtime/Shuffle.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cmath>
#include <cstring>

using namespace plait;
using namespace plait::run;
using namespace plait::runtime;
namespace fs = llvm::sys::fs;

Status run::readInputs(llvm::ArrayRef<std::string> files,
                       llvm::ArrayRef<std::string> singles, Tensors &tensors) {
  auto add = [&](const std::string &name, HostTensor tensor,
                 const std::string &file) -> Status {
    if (!tensors.emplace(name, std::move(tensor)).second)
      return Error{file + ": '" + name + "' was given by another file already"};
    return Status::success();
  };
  for (const std::string &file : files) {
    auto read = readSafeTensors(file);
    if (!read)
      return Error{read.message()};
    for (auto &[name, tensor] : read->tensors)
      if (Status status = add(name, std::move(tensor), file); !status)
        return status;
  }
  for (const std::string &single : singles) {
    size_t at = single.find("=@");
    if (at == std::string::npos || at == 0)
      return Error{"--input=" + single + ": expected name=@file.npy"};
    std::string file = single.substr(at + 2);
    auto read = readNpy(file);
    if (!read)
      return Error{read.message()};
    if (Status status = add(single.substr(0, at), std::move(*read), file);
        !status)
      return status;
  }
  return Status::success();
}

/// In [0, 1): the generator's upper 53 bits.
static double nextUniform(SplitMix64 &random) {
  return double(random.next() >> 11) / double(1ull << 53);
}

Status run::addRandom(const StepSignature &signature, uint64_t seed,
                      Tensors &tensors) {
  for (const Slot &slot : signature.slots) {
    if (slot.kind == Kind::Output || tensors.count(slot.name))
      continue;
    auto tensor = HostTensor::zeros(slot.dtype, slot.shape);
    if (!tensor)
      return Error{tensor.message()};
    double bound = 1;
    if (slot.kind == Kind::Param && !slot.shape.empty())
      bound = 1 / std::sqrt(double(slot.shape.back()));
    bool random = slot.kind == Kind::Param || slot.kind == Kind::Input;
    if (random && slot.dtype == DType::F32) {
      // Each tensor has a stream of its own, so that adding one changes none.
      uint64_t state = seed;
      for (char c : slot.name)
        state = state * 1099511628211ull + (unsigned char)c;
      SplitMix64 random(state);
      float *data = tensor->as<float>();
      for (size_t i = 0, e = tensor->data.size() / sizeof(float); i < e; ++i)
        data[i] = float((2 * nextUniform(random) - 1) * bound);
    }
    tensors.emplace(slot.name, std::move(*tensor));
  }
  return Status::success();
}

/// The name that `name` is probably meant to be, of those that are missing;
/// empty where none is near.
static std::string
nearestMissing(llvm::StringRef name,
               llvm::ArrayRef<const StepSignature *> signatures,
               const Tensors &tensors) {
  std::string nearest;
  unsigned best = std::max<unsigned>(1, name.size() / 4) + 1;
  for (const StepSignature *signature : signatures)
    for (const Slot &slot : signature->slots) {
      if (slot.kind == Kind::Output || tensors.count(slot.name))
        continue;
      unsigned distance = name.edit_distance(slot.name, true, best);
      if (distance < best) {
        best = distance;
        nearest = slot.name;
      }
    }
  return nearest;
}

void run::warnUnused(const RunOptions &options, llvm::StringRef option,
                     llvm::ArrayRef<const StepSignature *> signatures,
                     const Tensors &tensors) {
  unsigned shown = 0, unused = 0;
  for (const auto &[name, tensor] : tensors) {
    bool known = llvm::any_of(signatures, [&](const StepSignature *signature) {
      return llvm::any_of(signature->slots, [&](const Slot &slot) {
        return slot.kind != Kind::Output && slot.name == name;
      });
    });
    if (known || (++unused, shown == 5))
      continue;
    ++shown;
    std::string meant = nearestMissing(name, signatures, tensors);
    warn(options, "tensor " + printable(name) + " of " + option +
                      " is not used" +
                      (meant.empty() ? "" : "; did you mean '" + meant + "'?"));
  }
  if (unused > shown)
    warn(options, llvm::Twine(unused - shown) + " more tensors of " + option +
                      " are not used");
}

static std::string parentOf(llvm::StringRef path) {
  llvm::StringRef parent = llvm::sys::path::parent_path(path);
  return parent.empty() ? "." : parent.str();
}

Status run::checkOutput(llvm::StringRef what, const std::string &path,
                        bool isTensorFile) {
  if (path.empty())
    return Status::success();
  std::string error = what.str() + "=" + path + ": ";
  if (isTensorFile && fs::exists(path) && !fs::is_regular_file(path))
    return Error{error + "is not a regular file"};
  if (fs::is_directory(path))
    return Error{error + "is a directory; give the name of a file"};
  if (!fs::is_directory(parentOf(path)))
    return Error{error + "there is no directory " + parentOf(path)};
  if (fs::access(fs::exists(path) ? path : parentOf(path),
                 fs::AccessMode::Write))
    return Error{error + "cannot be written: no permission"};
  return Status::success();
}

Status run::checkOutputDirectory(llvm::StringRef what,
                                 const std::string &path) {
  if (path.empty())
    return Status::success();
  std::string existing = path;
  while (!fs::exists(existing) && existing != "." && existing != "/")
    existing = parentOf(existing);
  std::string error = what.str() + "=" + path + ": ";
  if (!fs::is_directory(existing))
    return Error{error + existing + " is not a directory"};
  if (fs::access(existing, fs::AccessMode::Write))
    return Error{error + "cannot be written: no permission"};
  return Status::success();
}

/// Prints that the files have nothing for the argument of `slot`.
static Error printMissing(const Slot &slot, llvm::StringRef more,
                          llvm::StringRef advice) {
  mlir::emitError(slot.loc)
      << "no tensor named '" << slot.name << "' in the inputs ("
      << describe(slot.dtype, slot.shape) << more << "); " << advice;
  return Error{""};
}

Status run::checkComplete(const StepSignature &signature,
                          const Tensors &tensors) {
  for (const Slot &slot : signature.slots)
    if (slot.isCarried() && !tensors.count(slot.name))
      return printMissing(slot, "", inputAdvice);
  return Status::success();
}

static Status checkIndices(const Slot &slot, const HostTensor &tensor) {
  Status status =
      runtime::checkIndices(*slot.indexRange, tensor.dtype, tensor.data.data(),
                            tensor.data.size() / elementSize(tensor.dtype));
  if (!status)
    return Error{"'" + slot.name + "': " + status.message() +
                 " (it is used as an index)"};
  return status;
}

Expected<DataFeed> run::makeFeed(const StepSignature &signature,
                                 Tensors &tensors, const FeedOptions &options,
                                 llvm::StringRef advice) {
  std::vector<FeedInput> inputs;
  for (const Slot &slot : signature.slots) {
    auto it = tensors.find(slot.name);
    if (slot.indexRange && it != tensors.end())
      if (Status status = checkIndices(slot, it->second); !status)
        return Error{status.message()};
    if (slot.kind != Kind::Input)
      continue;
    if (it == tensors.end())
      return printMissing(
          slot, slot.shape.empty() ? " or a vector" : " or more rows", advice);
    inputs.push_back(
        {slot.name, slot.shape, slot.dtype, std::move(it->second)});
    tensors.erase(it);
  }
  return DataFeed::create(std::move(inputs), options);
}

Status run::writeResults(Session &session, const std::string &file) {
  std::map<std::string, TensorView> views;
  auto add = [&](const std::string &name, const HostTensor &tensor) {
    views[name] = {tensor.dtype, tensor.shape, tensor.data.data()};
  };
  const StepSignature &last = *session.lastRun();
  for (const Slot &slot : last.slots) {
    if (slot.kind == Kind::Output)
      add(slot.name, *session.output(last, slot.name));
    if (slot.kind == Kind::Pending)
      add(slot.name, *session.find(slot.name));
  }
  for (const Slot *slot : session.carried())
    add(slot->name, *session.find(slot->name));
  return writeSafeTensors(file, views);
}

std::string run::formatOrder(const DataOrder &order) {
  return "splitmix64 seed=" + std::to_string(order.seed) +
         " shuffle=" + (order.shuffle ? "on" : "off") +
         " last-batch=" + (order.wrap ? "wrap" : "drop");
}

Expected<DataOrder> run::parseOrder(const std::string &text) {
  DataOrder order;
  llvm::StringRef rest = text;
  if (rest.consume_front("splitmix64 seed=") &&
      !rest.consumeInteger(10, order.seed)) {
    order.shuffle = rest.starts_with(" shuffle=on");
    order.wrap = rest.ends_with("=wrap");
    if (formatOrder(order) == text)
      return order;
  }
  return Error{"bad 'rng' in the metadata: " + printable(text)};
}

static std::string spell(uint64_t value) { return std::to_string(value); }
static std::string spell(bool value) { return value ? "true" : "false"; }

/// Takes `given` over into `value`; an error where a save had another.
template <typename T>
static Status settle(const char *option, std::optional<T> given, bool saved,
                     T &value) {
  if (!given || *given == value || !saved) {
    value = given.value_or(value);
    return Status::success();
  }
  std::string name = std::string("--") + option + "=";
  return Error{name + spell(*given) + ", but the save was made with " + name +
               spell(value) +
               "; leave the option out to go on as before, or load the save's "
               "files with --inputs to start anew from their values"};
}

Expected<DataOrder> run::settleOrder(const RunOptions &options,
                                     const DataOrder *saved) {
  DataOrder order = saved ? *saved : DataOrder();
  for (const Status &status :
       {settle("seed", options.seed, saved, order.seed),
        settle("shuffle", options.shuffle, saved, order.shuffle),
        settle("wrap", options.wrap, saved, order.wrap)})
    if (!status)
      return status;
  return order;
}

FeedOptions run::feedOptions(const DataOrder &order, uint64_t total) {
  FeedOptions feed;
  feed.shuffle = order.shuffle;
  feed.seed = order.seed;
  feed.steps = total;
  feed.lastBatch = order.wrap ? LastBatch::Wrap : LastBatch::Drop;
  return feed;
}
