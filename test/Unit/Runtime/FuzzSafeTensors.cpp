//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fuzzes the safetensors reader, and the writer with what the reader accepts.
//
// This file decides what must hold for any bytes: the reader either refuses
// with a message or gives tensors that survive being written and read again.
// Run with -max_len=4096 and a corpus folder.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/SafeTensors.h"

#include <cstdlib>
#include <cstring>

using namespace plait::runtime;

static void require(bool condition) {
  if (!condition)
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Expected<SafeTensors> first = parseSafeTensors(data, size);
  if (!first) {
    require(!first.message().empty());
    return 0;
  }
  Expected<std::string> bytes =
      serializeSafeTensors(viewsOf(first->tensors), first->metadata);
  require(static_cast<bool>(bytes));
  Expected<SafeTensors> second = parseSafeTensors(bytes->data(), bytes->size());
  require(static_cast<bool>(second));
  require(first->metadata == second->metadata);
  require(first->tensors.size() == second->tensors.size());
  for (const auto &[name, tensor] : first->tensors) {
    const HostTensor &other = second->tensors.at(name);
    require(tensor.dtype == other.dtype && tensor.shape == other.shape);
    require(std::memcmp(tensor.data.data(), other.data.data(),
                        tensor.data.size()) == 0);
  }
  return 0;
}
