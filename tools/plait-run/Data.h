//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where tensors come from: input files and random values.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_DATA_H
#define PLAIT_TOOLS_RUN_DATA_H

#include "Options.h"

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

/// How the command line has the data sets read, for a run of `total` steps
/// with those before it; 0 if unknown.
runtime::FeedOptions feedOptions(const RunOptions &options, uint64_t total);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_DATA_H
