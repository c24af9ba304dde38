//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Conversions to bfloat16, to nearest, ties to even.
//
// LLVM returns a bfloat16 as it does a half: in the low 16 bits of the register
// that a float is returned in.
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/Builtins.h"

#include "llvm/ADT/bit.h"

#include <cmath>

using namespace plait;

float plait::truncateToBFloat16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    bits = bits >> 16 | 0x40;
  else
    bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return llvm::bit_cast<float>(bits);
}

float plait::truncateToBFloat16(double value) {
  float near = float(value);
  if (double(near) == value || std::isnan(value) || std::isinf(near))
    return truncateToBFloat16(near);
  // Rounded to odd, so that the second rounding sees what the first has lost.
  uint32_t bits = llvm::bit_cast<uint32_t>(near);
  if (std::fabs(double(near)) > std::fabs(value))
    --bits;
  return truncateToBFloat16(llvm::bit_cast<float>(bits | 1));
}

llvm::StringMap<void *> plait::builtins() {
  return {
      {"__truncsfbf2", reinterpret_cast<void *>(
                           static_cast<float (*)(float)>(truncateToBFloat16))},
      {"__truncdfbf2", reinterpret_cast<void *>(static_cast<float (*)(double)>(
                           truncateToBFloat16))}};
}
