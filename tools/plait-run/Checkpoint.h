//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Saves: what --save and --save-every write, and what --resume reads.
//
// This file decides the layout. The save of a run's end is the directory of
// --save itself:
//
//   DIR/model.safetensors  DIR/optimizer.safetensors
//
// and the saves of --save-every are beside it, one directory each:
//
//   DIR/step-N/model.safetensors  DIR/step-N/optimizer.safetensors
//
// A step-N appears complete or not at all. Saves of one directory belong to one
// run: a run that would mix its own with later ones of another is refused.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_CHECKPOINT_H
#define PLAIT_TOOLS_RUN_CHECKPOINT_H

#include "Data.h"

namespace plait::run {

/// What a save says about the run that wrote it.
struct SaveInfo {
  std::string moduleHash;
  DataOrder order;
  runtime::Cursor cursor; ///< after the last step
};

/// Writes the save of a run's end into `directory`.
runtime::Status save(Session &session, const std::string &directory,
                     const SaveInfo &info);

/// Writes `directory`/step-N. Once it is complete, removes the oldest of these
/// directories until `keep` are left; 0 keeps all. Only directories that hold
/// a save of this module and nothing else are removed.
runtime::Status saveNumbered(Session &session, const std::string &directory,
                             const SaveInfo &info, unsigned keep);

/// Fails where `directory` holds a step-N later than `step`, with which a run
/// begins; if the run is to write step-N itself, also where the save of a run's
/// end is later.
runtime::Status checkUnmixed(const std::string &directory, uint64_t step,
                             bool numbered);

/// A save that was read.
struct Resumed {
  std::string directory; ///< the one with the files
  SaveInfo info;
};

/// Adds the tensors of the latest save in `directory`, which may also be a
/// step-N itself, to `tensors`; checks that it was written for this module.
runtime::Expected<Resumed> resume(const std::string &directory,
                                  const std::string &moduleHash,
                                  Tensors &tensors);

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_CHECKPOINT_H
