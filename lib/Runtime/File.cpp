//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Files, read in pieces and written all or nothing: POSIX.
//
// This file decides which system calls are retried (those interrupted by a
// signal, since Ctrl-C during a save must not lose it) and which failures of
// fsync are tolerated (file systems that cannot fsync a folder).
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/File.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace plait::runtime {

/// Linux moves at most 0x7ffff000 bytes per call.
static constexpr size_t maxTransfer = size_t(1) << 30;

static Error systemError(const std::string &what) {
  return Error{what + ": " + std::strerror(errno)};
}

Status MemorySource::read(uint64_t offset, void *destination,
                          size_t wanted) const {
  if (offset > count || wanted > count - offset)
    return Error{"read past the end of the buffer"};
  if (wanted != 0)
    std::memcpy(destination, bytes + offset, wanted);
  return Status::success();
}

InputFile::InputFile(InputFile &&other) noexcept
    : descriptor(std::exchange(other.descriptor, -1)), count(other.count) {}

InputFile::~InputFile() {
  if (descriptor >= 0)
    ::close(descriptor);
}

Expected<InputFile> InputFile::open(const std::string &path) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return systemError(path + ": cannot open");
  struct stat info;
  bool known = ::fstat(descriptor, &info) == 0;
  InputFile file(descriptor, known ? static_cast<uint64_t>(info.st_size) : 0);
  if (!known)
    return systemError(path + ": cannot stat");
  if (!S_ISREG(info.st_mode))
    return Error{path + ": not a regular file"};
  return file;
}

Status InputFile::read(uint64_t offset, void *destination,
                       size_t wanted) const {
  auto *out = static_cast<uint8_t *>(destination);
  while (wanted != 0) {
    ssize_t got = ::pread(descriptor, out, std::min(wanted, maxTransfer),
                          static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return systemError("cannot read");
    if (got == 0)
      return Error{"the file became shorter while it was read"};
    out += got;
    offset += static_cast<uint64_t>(got);
    wanted -= static_cast<size_t>(got);
  }
  return Status::success();
}

static Status writeAll(int descriptor, ByteView piece) {
  auto *in = static_cast<const uint8_t *>(piece.data);
  while (piece.size != 0) {
    ssize_t done = ::write(descriptor, in, std::min(piece.size, maxTransfer));
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return systemError("cannot write");
    in += done;
    piece.size -= static_cast<size_t>(done);
  }
  return Status::success();
}

static Status syncDescriptor(int descriptor) {
  while (::fsync(descriptor) != 0)
    if (errno != EINTR)
      return systemError("cannot fsync");
  return Status::success();
}

/// Creates a file nobody else has in `folder`. The name does not contain the
/// final one, which may already be as long as the file system allows.
static int createTemporary(const std::string &folder, std::string &name) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    name = folder + "/.plait-" + std::to_string(::getpid()) + "-" +
           std::to_string(counter++) + ".tmp";
    // 0666 lets the umask decide, as for any other file (mkstemp gives 0600).
    int descriptor =
        ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0 || errno != EEXIST)
      return descriptor;
  }
  return -1;
}

static Status writePieces(int descriptor, const std::vector<ByteView> &pieces) {
  for (const ByteView &piece : pieces)
    if (Status status = writeAll(descriptor, piece); !status)
      return status;
  return syncDescriptor(descriptor);
}

/// Makes a rename durable.
static Status syncFolder(const std::string &folder) {
  int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return systemError("cannot open the folder");
  Status status = syncDescriptor(descriptor);
  bool unsupported = errno == EINVAL || errno == ENOTSUP;
  ::close(descriptor);
  return !status && unsupported ? Status::success() : status;
}

static std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "."
         : slash == 0               ? "/"
                                    : path.substr(0, slash);
}

Status renameDurably(const std::string &from, const std::string &to) {
  if (std::rename(from.c_str(), to.c_str()) != 0)
    return systemError(from + ": cannot rename to " + to);
  if (Status synced = syncFolder(folderOf(to)); !synced)
    return Error{to + ": " + synced.message()};
  return Status::success();
}

Status writeFileAtomically(const std::string &path,
                           const std::vector<ByteView> &pieces) {
  // A rename would put a file in place of a device or pipe of that name.
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) &&
      !S_ISDIR(info.st_mode))
    return Error{path + ": not a regular file"};
  std::string folder = folderOf(path);
  std::string temporary;
  int descriptor = createTemporary(folder, temporary);
  if (descriptor < 0)
    return systemError(path + ": cannot create a file in " + folder);

  Status status = writePieces(descriptor, pieces);
  // NFS reports a full disk only at close.
  if (::close(descriptor) != 0 && status)
    status = systemError("cannot close");
  if (status && std::rename(temporary.c_str(), path.c_str()) != 0)
    status = systemError("cannot rename");
  if (!status) {
    ::unlink(temporary.c_str());
    return Error{path + ": " + status.message()};
  }
  if (Status synced = syncFolder(folder); !synced)
    return Error{path + ": " + synced.message()};
  return Status::success();
}

} // namespace plait::runtime
