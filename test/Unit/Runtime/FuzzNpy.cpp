//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fuzzes the .npy reader: any bytes are refused with a message, or give a
// tensor whose memory fits its type.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/Npy.h"

#include <cstdlib>

using namespace plait::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Expected<HostTensor> tensor = parseNpy(data, size);
  bool sound = tensor ? byteSize(tensor->dtype, tensor->shape) ==
                            uint64_t(tensor->data.size())
                      : !tensor.message().empty();
  if (!sound)
    std::abort();
  return 0;
}
