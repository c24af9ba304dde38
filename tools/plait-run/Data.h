//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where tensors come from and go to: input files, random values, checkpoints.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_DATA_H
#define PLAIT_TOOLS_RUN_DATA_H

#include "plait/Driver/Session.h"

namespace plait::run {

/// Reads safetensors files, and `name=@file.npy` for single inputs, into one
/// set of names; a name given twice is an error.
runtime::Status readInputs(llvm::ArrayRef<std::string> files,
                           llvm::ArrayRef<std::string> singles,
                           Tensors &tensors);

/// Adds what `signature` needs and `tensors` lacks: parameters and inputs
/// uniform in [-1/sqrt(n), 1/sqrt(n)] and [-1, 1), states zero, integers 0.
runtime::Status addRandom(const StepSignature &signature, uint64_t seed,
                          Tensors &tensors);

/// The inputs of `signature`, in order, as a feed.
runtime::Expected<runtime::DataFeed>
makeFeed(const StepSignature &signature, const Tensors &tensors,
         const runtime::FeedOptions &options);

/// Writes DIR/model.safetensors and DIR/optimizer.safetensors.
runtime::Status save(Session &session, const std::string &directory,
                     const std::string &moduleHash,
                     const runtime::Cursor &cursor);

/// Reads what `save` wrote, and checks that it was written for this module.
runtime::Expected<runtime::Cursor> resume(const std::string &directory,
                                          const std::string &moduleHash,
                                          Tensors &tensors);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_DATA_H
