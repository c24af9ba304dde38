//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Errors as values: how a name from a file is shown.
//
// This file decides which bytes of an untrusted name reach a terminal:
// printable ASCII only, and no more than 80 of them.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/Error.h"

namespace plait::runtime {

std::string printable(const std::string &text) {
  constexpr size_t limit = 80;
  constexpr char digits[] = "0123456789abcdef";
  std::string result = "'";
  for (size_t i = 0; i < text.size() && i < limit; ++i) {
    unsigned char byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte < 0x7f) {
      result += text[i];
    } else {
      result += "\\x";
      result += digits[byte >> 4];
      result += digits[byte & 15];
    }
  }
  return result + (text.size() > limit ? "...'" : "'");
}

} // namespace plait::runtime
