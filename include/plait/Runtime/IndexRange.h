//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which values an integer input may have.
//
// A compiled step looks rows up by index without a check, and has no way to
// report an error. So values are checked before it sees them.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_RUNTIME_INDEXRANGE_H
#define PLAIT_RUNTIME_INDEXRANGE_H

#include "plait/Runtime/Tensor.h"

namespace plait::runtime {

/// low <= value < high, or one of the others (a label that a loss ignores).
struct IndexRange {
  int64_t low;
  int64_t high;
  std::vector<int64_t> others;
};

/// Fails, with the first value that is outside and where it is, or if the
/// elements are no signed integers.
Status checkIndices(const IndexRange &range, DType dtype, const void *elements,
                    uint64_t count);

} // namespace plait::runtime

#endif // PLAIT_RUNTIME_INDEXRANGE_H
