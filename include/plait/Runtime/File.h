//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Files, read in pieces and written all or nothing.
//
// This file decides how the runtime touches the disk. Reading copies (a map of
// a file that somebody truncates kills the process with SIGBUS). Writing goes
// to a temporary name first, so that a crash or a full disk during a
// checkpoint leaves the previous one in place.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_RUNTIME_FILE_H
#define PLAIT_RUNTIME_FILE_H

#include "plait/Runtime/Error.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace plait::runtime {

/// Bytes that a format reader can ask for piece by piece.
class ByteSource {
public:
  virtual ~ByteSource() = default;

  /// All bytes there are.
  virtual uint64_t size() const = 0;

  /// Copies `count` bytes at `offset`. The range must lie within size(). Fails
  /// when the medium does.
  virtual Status read(uint64_t offset, void *destination,
                      size_t count) const = 0;
};

/// Memory that outlives the source.
class MemorySource : public ByteSource {
public:
  MemorySource(const void *data, size_t size)
      : bytes(static_cast<const uint8_t *>(data)), count(size) {}
  uint64_t size() const override { return count; }
  Status read(uint64_t offset, void *destination, size_t count) const override;

private:
  const uint8_t *bytes;
  size_t count;
};

/// A regular file, open for reading.
class InputFile : public ByteSource {
public:
  InputFile(InputFile &&other) noexcept;
  InputFile &operator=(InputFile &&) = delete;
  ~InputFile() override;

  /// Fails when the file cannot be opened or is not a regular file (a pipe
  /// would block, a device never ends). Messages begin with the path.
  static Expected<InputFile> open(const std::string &path);

  uint64_t size() const override { return count; }

  /// Also fails when the file became shorter after open().
  Status read(uint64_t offset, void *destination, size_t count) const override;

private:
  InputFile(int descriptor, uint64_t count)
      : descriptor(descriptor), count(count) {}
  int descriptor;
  uint64_t count;
};

/// A piece of a file to write.
struct ByteView {
  const void *data;
  size_t size;
};

/// Writes the pieces one after the other as the file `path`, replacing what is
/// there: to a temporary name in the same folder, fsync, rename, fsync of the
/// folder. A device or pipe is refused. On failure `path` is as before and the
/// temporary file is gone; only a failing fsync of the folder leaves the new file
/// in place.
Status writeFileAtomically(const std::string &path,
                           const std::vector<ByteView> &pieces);

/// Renames a file or folder within its folder, durably: what was written before
/// is there under the new name even after a crash. `to` must not exist, or be
/// of the same kind (a folder: empty).
Status renameDurably(const std::string &from, const std::string &to);

} // namespace plait::runtime

#endif // PLAIT_RUNTIME_FILE_H
