//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the runtime's tests share.
//
// This file decides how a test makes tensors and scratch files, and how it
// states a refusal: the whole message, since the message is what a user gets.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TEST_UNIT_RUNTIME_TESTUTILS_H
#define PLAIT_TEST_UNIT_RUNTIME_TESTUTILS_H

#include "plait/Runtime/Tensor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace plait::runtime {

/// A tensor of these elements.
template <typename T>
HostTensor makeTensor(DType dtype, Shape shape, const std::vector<T> &values) {
  EXPECT_EQ(sizeof(T), elementSize(dtype));
  EXPECT_EQ(byteSize(dtype, shape), values.size() * sizeof(T));
  return std::move(*HostTensor::copyOf(dtype, std::move(shape), values.data()));
}

template <typename T> std::vector<T> elementsOf(const HostTensor &tensor) {
  return std::vector<T>(tensor.as<T>(),
                        tensor.as<T>() + tensor.data.size() / sizeof(T));
}

/// Checks that `result` failed with exactly this message.
template <typename T>
void expectError(const T &result, const std::string &message) {
  ASSERT_FALSE(static_cast<bool>(result));
  EXPECT_EQ(result.message(), message);
}

/// A folder that goes away with the test.
class ScratchFolder {
public:
  ScratchFolder() {
    std::string name = testing::TempDir() + "plait-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  std::string operator/(const std::string &name) const {
    return (folder / name).string();
  }
  std::string path() const { return folder.string(); }

  /// Names of all files in it, hidden ones too.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto &item : std::filesystem::directory_iterator(folder))
      names.push_back(item.path().filename().string());
    return names;
  }

private:
  std::filesystem::path folder;
};

inline void writeText(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string readText(const std::string &path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

} // namespace plait::runtime

#endif // PLAIT_TEST_UNIT_RUNTIME_TESTUTILS_H
