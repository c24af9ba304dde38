//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of files: reading in pieces, writing all or nothing.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/File.h"
#include "TestUtils.h"

#include <csignal>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace plait::runtime;

namespace {

TEST(File, ReadsPieces) {
  ScratchFolder folder;
  writeText(folder / "f", "0123456789");
  Expected<InputFile> file = InputFile::open(folder / "f");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->size(), 10u);
  char bytes[4] = {};
  ASSERT_TRUE(file->read(3, bytes, 4));
  EXPECT_EQ(std::string(bytes, 4), "3456");
}

TEST(File, RefuseMissing) {
  ScratchFolder folder;
  expectError(InputFile::open(folder / "none"),
              folder / "none" + ": cannot open: No such file or directory");
}

TEST(File, RefuseFolder) {
  ScratchFolder folder;
  expectError(InputFile::open(folder.path()),
              folder.path() + ": not a regular file");
}

TEST(File, RefusePipeWithoutWaiting) {
  ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expectError(InputFile::open(folder / "pipe"),
              folder / "pipe" + ": not a regular file");
}

TEST(File, RefuseFileThatShrinks) {
  ScratchFolder folder;
  writeText(folder / "f", "0123456789");
  Expected<InputFile> file = InputFile::open(folder / "f");
  ASSERT_TRUE(file);
  ASSERT_EQ(::truncate((folder / "f").c_str(), 5), 0);
  char bytes[10];
  expectError(file->read(0, bytes, 10),
              "the file became shorter while it was read");
}

TEST(File, RefuseReadPastMemory) {
  MemorySource source("abc", 3);
  char bytes[4];
  EXPECT_TRUE(source.read(3, bytes, 0));
  expectError(source.read(1, bytes, 3), "read past the end of the buffer");
  expectError(source.read(UINT64_MAX, bytes, 2),
              "read past the end of the buffer");
}

TEST(File, WriteReplacesAndLeavesNothingElse) {
  ScratchFolder folder;
  writeText(folder / "f", "old contents");
  ASSERT_TRUE(
      writeFileAtomically(folder / "f", {{"new", 3}, {nullptr, 0}, {"!", 1}}));
  EXPECT_EQ(readText(folder / "f"), "new!");
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"f"}));
}

TEST(File, WriteHonoursUmask) {
  ScratchFolder folder;
  mode_t previous = ::umask(022);
  EXPECT_TRUE(writeFileAtomically(folder / "f", {{"x", 1}}));
  ::umask(previous);
  struct stat info;
  ASSERT_EQ(::stat((folder / "f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
}

TEST(File, WriteWithLongName) {
  ScratchFolder folder;
  std::string name(255, 'n');
  EXPECT_TRUE(writeFileAtomically(folder / name, {{"x", 1}}));
  EXPECT_EQ(folder.files(), (std::vector<std::string>{name}));
}

TEST(File, WriteIntoCurrentFolder) {
  ScratchFolder folder;
  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  EXPECT_TRUE(writeFileAtomically("f", {{"x", 1}}));
  std::filesystem::current_path(before);
  EXPECT_EQ(readText(folder / "f"), "x");
}

TEST(File, RefuseWriteIntoMissingFolder) {
  ScratchFolder folder;
  expectError(writeFileAtomically(folder / "no/f", {{"x", 1}}),
              folder / "no/f" + ": cannot create a file in " + folder / "no" +
                  ": No such file or directory");
}

TEST(File, FailedWriteLeavesTheOldFile) {
  ScratchFolder folder;
  ASSERT_TRUE(std::filesystem::create_directory(folder / "d"));
  writeText(folder / "d/old", "old");
  // A folder with contents cannot be replaced, so the rename fails.
  Status status = writeFileAtomically(folder / "d", {{"x", 1}});
  EXPECT_FALSE(status);
  EXPECT_EQ(status.message().rfind(folder / "d: cannot rename: ", 0), 0u)
      << status.message();
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"d"}));
  EXPECT_EQ(readText(folder / "d/old"), "old");
}

TEST(File, RefuseWriteInPlaceOfAPipe) {
  ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expectError(writeFileAtomically(folder / "pipe", {{"x", 1}}),
              folder / "pipe" + ": not a regular file");
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"pipe"}));
}

TEST(File, RenamesAFolderWithItsContents) {
  ScratchFolder folder;
  ASSERT_TRUE(std::filesystem::create_directory(folder / "from"));
  writeText(folder / "from/f", "x");
  ASSERT_TRUE(renameDurably(folder / "from", folder / "to"));
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"to"}));
  EXPECT_EQ(readText(folder / "to/f"), "x");
}

TEST(File, RefuseRenameOntoFolderWithContents) {
  ScratchFolder folder;
  ASSERT_TRUE(std::filesystem::create_directory(folder / "from"));
  ASSERT_TRUE(std::filesystem::create_directory(folder / "to"));
  writeText(folder / "to/old", "old");
  Status status = renameDurably(folder / "from", folder / "to");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.message().rfind(folder / "from: cannot rename to ", 0), 0u)
      << status.message();
  EXPECT_EQ(readText(folder / "to/old"), "old");
}

/// Tries to write 1 MiB where files may have 1 KiB, reports, and exits with 1
/// if that failed.
void writeUnderSizeLimit(const std::string &path) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = {1024, 1024};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::string big(1 << 20, 'x');
  Status status = writeFileAtomically(path, {{big.data(), big.size()}});
  std::fputs(status.message().c_str(), stderr);
  std::exit(status ? 0 : 1);
}

TEST(File, FullDiskLeavesTheOldFile) {
  // A limit on the size of files stands in for a full disk.
  ScratchFolder folder;
  writeText(folder / "f", "old");
  EXPECT_EXIT(writeUnderSizeLimit(folder / "f"), testing::ExitedWithCode(1),
              "f: cannot write: File too large");
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"f"}));
  EXPECT_EQ(readText(folder / "f"), "old");
}

} // namespace
