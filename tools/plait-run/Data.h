//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where tensors come from and go to, saves apart (see Checkpoint.h), and the
// order in which data are read.
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

/// Warns of tensors that none of the signatures has: names with a slip, which
/// --random-inputs would pass over in silence.
void warnUnused(const RunOptions &options, llvm::StringRef option,
                llvm::ArrayRef<const StepSignature *> signatures,
                const Tensors &tensors);

constexpr const char *inputAdvice =
    "give it by --inputs or --input, or use --random-inputs";

/// Fails where a parameter, state or buffer is missing. As of makeFeed, the error
/// is at the argument, printed already, and so the message empty.
runtime::Status checkComplete(const StepSignature &signature,
                              const Tensors &tensors);

/// The inputs of `signature`, in order, as a feed: taken out of `tensors`, since
/// data may be large. `advice` ends the message about one that is missing.
runtime::Expected<runtime::DataFeed>
makeFeed(const StepSignature &signature, Tensors &tensors,
         const runtime::FeedOptions &options, llvm::StringRef advice);

/// Fails where no file can be written as `path`: found before the first step,
/// not after the last. `what` is the option. Tensor files are written under
/// another name and renamed, so that nothing but a file can be at `path`.
runtime::Status checkOutput(llvm::StringRef what, const std::string &path,
                            bool isTensorFile = false);

/// The same for a directory, which may have to be made.
runtime::Status checkOutputDirectory(llvm::StringRef what,
                                     const std::string &path);

/// Writes what the last step gave: its outputs, the parameters, states and
/// buffers it carries on, as of after the last flush, and the pending values
/// that it passed to that flush, where there are any.
runtime::Status writeResults(Session &session, const std::string &file);

/// What decides the numbers that a run draws and the order of its data.
struct DataOrder {
  uint64_t seed = 0;
  bool shuffle = false, wrap = false;
};

/// For a save's metadata, and back. Anything else is an error.
std::string formatOrder(const DataOrder &order);
runtime::Expected<DataOrder> parseOrder(const std::string &text);

/// What the options say; what they leave open is as `saved`, or the default.
/// Fails where they contradict `saved`, null for a run from the start.
runtime::Expected<DataOrder> settleOrder(const RunOptions &options,
                                         const DataOrder *saved);

/// For a run of `total` steps with those before it; 0 if unknown.
runtime::FeedOptions feedOptions(const DataOrder &order, uint64_t total);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_DATA_H
