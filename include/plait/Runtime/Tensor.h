//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors in host memory.
//
// This file decides how the runtime holds a tensor outside compiled code: a
// dtype, a static shape and its elements, row-major without padding, in memory
// of its own that is aligned for the widest vector loads. Compiled code gets
// the pointer; it never gets the object.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_RUNTIME_TENSOR_H
#define PLAIT_RUNTIME_TENSOR_H

#include "plait/Runtime/Error.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace plait::runtime {

/// Element types. All are little-endian; Bool is one byte, 0 or 1.
enum class DType : uint8_t {
  F32,
  F64,
  F16,
  BF16,
  I8,
  I16,
  I32,
  I64,
  U8,
  U16,
  U32,
  U64,
  Bool
};

using Shape = std::vector<int64_t>;

/// Bytes per element.
size_t elementSize(DType dtype);

/// The name that safetensors files use: "F32", "BF16", "BOOL", ...
const char *dtypeName(DType dtype);

/// The dtype of that name (case matters), or nothing.
std::optional<DType> parseDType(const std::string &name);

/// Bytes of a dense tensor. Nothing if a dimension is negative or the product
/// exceeds int64_t. A zero dimension does not excuse the others: [0, 2^62, 8]
/// has no answer either, because its strides would overflow.
std::optional<uint64_t> byteSize(DType dtype, const Shape &shape);

/// For messages: "F32[8, 16]"; a scalar is "F32[]".
std::string describe(DType dtype, const Shape &shape);

/// Memory of fixed size, aligned to 64 bytes, owned. Moves, never copies
/// silently. From 2 MiB on it is made of huge pages where the system has them.
class AlignedBytes {
public:
  static constexpr size_t alignment = 64;

  AlignedBytes() = default;
  AlignedBytes(AlignedBytes &&other) noexcept;
  AlignedBytes &operator=(AlignedBytes &&other) noexcept;
  ~AlignedBytes();

  /// `size` uninitialised bytes. A size of 0 gives a usable pointer too. Fails
  /// when there is no memory.
  static Expected<AlignedBytes> allocate(uint64_t size);

  uint8_t *data() { return bytes; }
  const uint8_t *data() const { return bytes; }
  size_t size() const { return count; }

private:
  uint8_t *bytes = nullptr;
  size_t count = 0;
};

/// A dense row-major tensor that owns its elements.
struct HostTensor {
  DType dtype = DType::F32;
  Shape shape;
  AlignedBytes data;

  /// A tensor of zeros. Fails on a negative dimension, overflow, no memory. A
  /// large one is not touched: its pages go to the threads that first write.
  static Expected<HostTensor> zeros(DType dtype, Shape shape);

  /// As `zeros`, for a caller who overwrites every byte.
  static Expected<HostTensor> uninitialized(DType dtype, Shape shape);

  /// A copy of dense row-major elements of `dtype` at `elements`.
  static Expected<HostTensor> copyOf(DType dtype, Shape shape,
                                     const void *elements);

  /// A deep copy. Fails when there is no memory.
  Expected<HostTensor> clone() const;

  /// The elements as T, whose size must be the dtype's.
  template <typename T> T *as() {
    assert(sizeof(T) == elementSize(dtype) && "wrong element type");
    return reinterpret_cast<T *>(data.data());
  }
  template <typename T> const T *as() const {
    assert(sizeof(T) == elementSize(dtype) && "wrong element type");
    return reinterpret_cast<const T *>(data.data());
  }
};

/// Fails if a Bool tensor holds a byte other than 0 and 1; compiled code reads
/// such bytes as i1, where any other value is undefined behaviour. Other
/// dtypes have no invalid bytes.
Status checkElements(const HostTensor &tensor);

/// The same of `size` bytes anywhere.
Status checkElements(DType dtype, const void *elements, uint64_t size);

} // namespace plait::runtime

#endif // PLAIT_RUNTIME_TENSOR_H
