//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From an update slice to a train.update.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_RAISE_WRITEUPDATE_H
#define PLAIT_PASSES_RAISE_WRITEUPDATE_H

#include "UpdateSlice.h"

namespace plait {

/// Puts a train.update at the slice's position, gives its results to the users
/// of the next values, and erases the slice's ops.
train::UpdateOp writeUpdate(const UpdateSlice &slice);

} // namespace plait

#endif // PLAIT_PASSES_RAISE_WRITEUPDATE_H
