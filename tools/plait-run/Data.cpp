//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
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
      return Error{file + ": " + read.message()};
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
      return Error{file + ": " + read.message()};
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

FeedOptions run::feedOptions(const RunOptions &options, uint64_t total) {
  FeedOptions feed;
  feed.shuffle = options.shuffle;
  feed.seed = options.seed;
  feed.steps = total;
  feed.lastBatch = options.wrap ? LastBatch::Wrap : LastBatch::Drop;
  return feed;
}
