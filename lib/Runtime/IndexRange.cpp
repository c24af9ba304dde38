//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Values against ranges; one loop for each width.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/IndexRange.h"

#include <algorithm>

namespace plait::runtime {

template <typename T>
static Status check(const IndexRange &range, const void *elements,
                    uint64_t count) {
  const T *values = static_cast<const T *>(elements);
  for (uint64_t i = 0; i < count; ++i) {
    int64_t value = values[i];
    if (value >= range.low && value < range.high)
      continue;
    if (std::find(range.others.begin(), range.others.end(), value) !=
        range.others.end())
      continue;
    std::string text = "element " + std::to_string(i) + " is " +
                       std::to_string(value) + ", which is outside [" +
                       std::to_string(range.low) + ", " +
                       std::to_string(range.high) + ")";
    for (int64_t other : range.others)
      text += " and not " + std::to_string(other);
    return Error{text};
  }
  return Status::success();
}

Status checkIndices(const IndexRange &range, DType dtype, const void *elements,
                    uint64_t count) {
  switch (dtype) {
  case DType::I8:
    return check<int8_t>(range, elements, count);
  case DType::I16:
    return check<int16_t>(range, elements, count);
  case DType::I32:
    return check<int32_t>(range, elements, count);
  case DType::I64:
    return check<int64_t>(range, elements, count);
  default:
    return Error{std::string("indices cannot be ") + dtypeName(dtype)};
  }
}

} // namespace plait::runtime
