//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Saves.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include "plait/Runtime/SafeTensors.h"

#include "llvm/Support/FileSystem.h"

using namespace plait;
using namespace plait::run;
using namespace plait::runtime;

Status run::save(Session &session, const std::string &directory,
                 const std::string &moduleHash, const Cursor &cursor) {
  if (std::error_code error = llvm::sys::fs::create_directories(directory))
    return Error{directory + ": " + error.message()};
  if (Status status = session.flush(); !status)
    return status;
  std::map<std::string, TensorView> model, optimizer;
  for (const Slot *slot : session.carried()) {
    HostTensor *tensor = session.find(slot->name);
    auto &file = slot->kind == Kind::State ? optimizer : model;
    file[slot->name] = {tensor->dtype, tensor->shape, tensor->data.data()};
  }
  Metadata metadata = {{"format", "pt"},
                       {"plait_version", PLAIT_VERSION},
                       {"module_hash", moduleHash},
                       {"global_step", std::to_string(cursor.step)},
                       {"data_cursor", formatCursor(cursor)}};
  if (Status status =
          writeSafeTensors(directory + "/model.safetensors", model, metadata);
      !status)
    return status;
  return writeSafeTensors(directory + "/optimizer.safetensors", optimizer,
                          metadata);
}

Expected<Cursor> run::resume(const std::string &directory,
                             const std::string &moduleHash, Tensors &tensors) {
  Metadata metadata, first;
  for (const char *name : {"/model.safetensors", "/optimizer.safetensors"}) {
    std::string file = directory + name;
    auto read = readSafeTensors(file);
    if (!read)
      return Error{file + ": " + read.message()};
    metadata = read->metadata;
    if (metadata["module_hash"] != moduleHash)
      return Error{file + ": was saved by another module (hash " +
                   metadata["module_hash"] + ", this one is " + moduleHash +
                   "); load it with --inputs to start anew from its values"};
    // Both files of one save agree; a crash between the two writes shows here.
    if (!first.empty() && first["data_cursor"] != metadata["data_cursor"])
      return Error{directory + ": model and optimizer are of different steps"};
    first = metadata;
    for (auto &[key, tensor] : read->tensors)
      tensors[key] = std::move(tensor);
  }
  return parseCursor(metadata["data_cursor"]);
}
