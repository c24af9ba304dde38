//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Saves: what --save writes and --resume reads.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_CHECKPOINT_H
#define PLAIT_TOOLS_RUN_CHECKPOINT_H

#include "plait/Driver/Session.h"

namespace plait::run {

/// Writes DIR/model.safetensors and DIR/optimizer.safetensors.
runtime::Status save(Session &session, const std::string &directory,
                     const std::string &moduleHash,
                     const runtime::Cursor &cursor);

/// Reads what `save` wrote, and checks that it was written for this module.
runtime::Expected<runtime::Cursor> resume(const std::string &directory,
                                          const std::string &moduleHash,
                                          Tensors &tensors);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_CHECKPOINT_H
