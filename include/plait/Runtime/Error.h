//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Errors as values.
//
// The runtime is compiled without exceptions, and most of its errors come from
// a user's file, so they are ordinary results. This file decides their form: a
// sentence for the user, carried by `Status` (nothing else to return) or
// `Expected<T>`. There are no error codes, because no caller acts on them.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_RUNTIME_ERROR_H
#define PLAIT_RUNTIME_ERROR_H

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace plait::runtime {

/// What went wrong, as one sentence without a trailing newline.
struct Error {
  std::string message;
};

/// Success, or an error. True means success.
class [[nodiscard]] Status {
public:
  Status(Error error) : failure(std::move(error)), failed(true) {}
  static Status success() { return Status(); }

  explicit operator bool() const { return !failed; }

  /// The message; empty on success.
  const std::string &message() const { return failure.message; }

private:
  Status() = default;
  Error failure;
  bool failed = false;
};

/// A value, or the error that prevented it. True means a value.
template <typename T> class [[nodiscard]] Expected {
public:
  Expected(T value) : storage(std::in_place_index<0>, std::move(value)) {}
  Expected(Error error) : storage(std::in_place_index<1>, std::move(error)) {}
  /// Passes a failed status on; it must have failed.
  Expected(Status status)
      : storage(std::in_place_index<1>, Error{status.message()}) {
    assert(!status && "a successful status holds no value");
  }

  explicit operator bool() const { return storage.index() == 0; }

  /// The value; only when this is true.
  T &operator*() {
    assert(*this && "no value");
    return *std::get_if<0>(&storage);
  }
  const T &operator*() const {
    assert(*this && "no value");
    return *std::get_if<0>(&storage);
  }
  T *operator->() { return &**this; }
  const T *operator->() const { return &**this; }

  /// The message; only when this is false.
  const std::string &message() const {
    assert(!*this && "no error");
    return std::get_if<1>(&storage)->message;
  }

private:
  std::variant<T, Error> storage;
};

/// `text` in single quotes, fit for a message: control and non-ASCII bytes are
/// escaped and long text is cut, since names come from files nobody vouches
/// for and messages go to terminals. (Not called "quoted": argument-dependent
/// lookup would find std::quoted as well.)
std::string printable(const std::string &text);

} // namespace plait::runtime

#endif // PLAIT_RUNTIME_ERROR_H
