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

#include <cmath>
#include <cstring>

using namespace plait;
using namespace plait::run;
using namespace plait::runtime;

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

/// splitmix64 (Steele et al., 2014): the same numbers on every platform.
static double nextUniform(uint64_t &state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return double((z ^ (z >> 31)) >> 11) / double(1ull << 53);
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
      float *data = tensor->as<float>();
      for (size_t i = 0, e = tensor->data.size() / sizeof(float); i < e; ++i)
        data[i] = float((2 * nextUniform(state) - 1) * bound);
    }
    tensors.emplace(slot.name, std::move(*tensor));
  }
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
                                 const Tensors &tensors,
                                 const FeedOptions &options) {
  std::vector<FeedInput> inputs;
  for (const Slot &slot : signature.slots) {
    auto it = tensors.find(slot.name);
    if (slot.indexRange && it != tensors.end())
      if (Status status = checkIndices(slot, it->second); !status)
        return Error{status.message()};
    if (slot.kind != Kind::Input)
      continue;
    if (it == tensors.end())
      return Error{"no tensor named '" + slot.name + "' in the inputs (" +
                   describe(slot.dtype, slot.shape) +
                   " or more rows); give it by --inputs or --input, or use "
                   "--random-inputs"};
    auto copy = it->second.clone();
    if (!copy)
      return Error{copy.message()};
    inputs.push_back({slot.name, slot.shape, slot.dtype, std::move(*copy)});
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
