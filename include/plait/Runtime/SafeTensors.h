//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// safetensors files.
//
// This file decides what a tensor file may look like. Files are hostile: what
// the format forbids is refused with the reason, and nothing is believed before
// it is checked against the file's size. What the reference reader (the
// safetensors package, 0.8) accepts is accepted, except: dtypes without a
// counterpart here, more than 64 dimensions, sizes beyond int64_t (even with a
// zero dimension), keys given twice, BOOL bytes other than 0 and 1, nesting
// deeper than 4, a header that does not begin with '{'.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_RUNTIME_SAFETENSORS_H
#define PLAIT_RUNTIME_SAFETENSORS_H

#include "plait/Runtime/File.h"
#include "plait/Runtime/Tensor.h"

#include <map>
#include <string>
#include <vector>

namespace plait::runtime {

using Metadata = std::map<std::string, std::string>;

/// A file's contents, by name.
struct SafeTensors {
  std::map<std::string, HostTensor> tensors;
  Metadata metadata;
};

/// A tensor to write, in somebody else's memory: dense, row-major.
struct TensorView {
  DType dtype;
  Shape shape;
  const void *data;
};

/// The most bytes a header may have (the reference reader's limit).
constexpr uint64_t maxSafeTensorsHeader = 100'000'000;

/// Reads the file into memory. Fails with "<path>: <reason>".
Expected<SafeTensors> readSafeTensors(const std::string &path);

/// As readSafeTensors, from memory; messages have no path.
Expected<SafeTensors> parseSafeTensors(const void *data, size_t size);

/// Writes the file under a temporary name in the same folder, fsyncs, renames;
/// see writeFileAtomically. The bytes depend on the arguments only: metadata
/// sorted by key, tensors by falling element size (which keeps each aligned),
/// then by name. Fails on a tensor named "__metadata__", on text that is not
/// UTF-8, on a shape without a size, on a header over the limit, on I/O errors.
Status writeSafeTensors(const std::string &path,
                        const std::map<std::string, TensorView> &tensors,
                        const Metadata &metadata = {});
Status writeSafeTensors(const std::string &path,
                        const std::map<std::string, HostTensor> &tensors,
                        const Metadata &metadata = {});

/// The bytes that writeSafeTensors would write.
Expected<std::string>
serializeSafeTensors(const std::map<std::string, TensorView> &tensors,
                     const Metadata &metadata = {});

/// Views of tensors that outlive them.
std::map<std::string, TensorView>
viewsOf(const std::map<std::string, HostTensor> &tensors);

/// One tensor's entry in a header; offsets count bytes from the header's end.
struct SafeTensorsEntry {
  DType dtype = DType::F32;
  Shape shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// What a header says.
struct SafeTensorsHeader {
  std::map<std::string, SafeTensorsEntry> entries;
  Metadata metadata;
};

/// Parses a header's JSON and checks each entry by itself: types, names, sizes.
Expected<SafeTensorsHeader> parseSafeTensorsHeader(const std::string &json);

/// The header of a file, checked against its size as by readSafeTensors; the
/// tensors are not read.
Expected<SafeTensorsHeader> readSafeTensorsHeader(const std::string &path);

/// Checks the entries together: they tile exactly `dataSize` bytes, without
/// holes, overlaps or bytes left over.
Status checkSafeTensorsLayout(const SafeTensorsHeader &header,
                              uint64_t dataSize);

} // namespace plait::runtime

#endif // PLAIT_RUNTIME_SAFETENSORS_H
