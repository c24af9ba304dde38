//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors in host memory: sizes, names, allocation.
//
// This file decides what counts as a representable size: every byte count fits
// a non-negative int64_t, so later code may multiply shapes without checks.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/Tensor.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensor files are little-endian and are copied without conversion"
#endif

namespace plait::runtime {

namespace {
struct DTypeInfo {
  const char *name;
  size_t size;
};
} // namespace

/// In the order of DType.
static constexpr DTypeInfo dtypeTable[] = {
    {"F32", 4}, {"F64", 8}, {"F16", 2}, {"BF16", 2}, {"I8", 1},
    {"I16", 2}, {"I32", 4}, {"I64", 8}, {"U8", 1},   {"U16", 2},
    {"U32", 4}, {"U64", 8}, {"BOOL", 1}};
static_assert(sizeof(dtypeTable) / sizeof(DTypeInfo) ==
              static_cast<size_t>(DType::Bool) + 1);

size_t elementSize(DType dtype) {
  return dtypeTable[static_cast<size_t>(dtype)].size;
}

const char *dtypeName(DType dtype) {
  return dtypeTable[static_cast<size_t>(dtype)].name;
}

std::optional<DType> parseDType(const std::string &name) {
  uint8_t index = 0;
  for (const DTypeInfo &info : dtypeTable) {
    if (name == info.name)
      return static_cast<DType>(index);
    ++index;
  }
  return std::nullopt;
}

std::optional<uint64_t> byteSize(DType dtype, const Shape &shape) {
  int64_t product = static_cast<int64_t>(elementSize(dtype));
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return std::nullopt;
    empty |= dim == 0;
    if (dim != 0 && __builtin_mul_overflow(product, dim, &product))
      return std::nullopt;
  }
  return empty ? 0 : static_cast<uint64_t>(product);
}

std::string describe(DType dtype, const Shape &shape) {
  std::string text = dtypeName(dtype);
  text += '[';
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ']';
}

AlignedBytes::AlignedBytes(AlignedBytes &&other) noexcept
    : bytes(std::exchange(other.bytes, nullptr)),
      count(std::exchange(other.count, 0)) {}

AlignedBytes &AlignedBytes::operator=(AlignedBytes &&other) noexcept {
  std::swap(bytes, other.bytes);
  std::swap(count, other.count);
  return *this;
}

static constexpr uint64_t hugePage = 2 << 20;

/// Memory of this size is pages of its own: zero and not resident until somebody
/// writes, and the system's again when it is freed. malloc keeps holes.
static bool isMapped(uint64_t size) { return size >= 1 << 20; }

static size_t roundedUp(size_t size, size_t unit) {
  return (size + unit - 1) / unit * unit;
}

static size_t pagesOf(size_t size) { return roundedUp(size, 4096); }

AlignedBytes::~AlignedBytes() {
  if (isMapped(count))
    munmap(bytes, pagesOf(count));
  else
    std::free(bytes);
}

/// A step that streams through its weights touches a new page every 4 KiB; with
/// pages of 2 MiB the same memory gives about a quarter more bandwidth. Not for
/// the rest behind the last whole one, which would be resident without use.
static void adviseHugePages(uint8_t *bytes, size_t size) {
#ifdef MADV_HUGEPAGE
  // Advice: where the kernel declines, small pages are right, only slower.
  (void)madvise(bytes, size / hugePage * hugePage, MADV_HUGEPAGE);
#endif
}

/// Null where there is no memory.
static uint8_t *mapPages(size_t size) {
  size_t length = pagesOf(size);
  bool huge = size >= hugePage;
  size_t more = huge ? hugePage : 0;
  void *mapped = mmap(nullptr, length + more, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    return nullptr;
  auto *bytes = static_cast<uint8_t *>(mapped);
  if (!huge)
    return bytes;
  size_t before = -reinterpret_cast<uintptr_t>(bytes) % hugePage;
  if (before)
    munmap(bytes, before);
  bytes += before;
  if (more != before)
    munmap(bytes + length, more - before);
  adviseHugePages(bytes, size);
  return bytes;
}

Expected<AlignedBytes> AlignedBytes::allocate(uint64_t size) {
  AlignedBytes result;
  if (size <= PTRDIFF_MAX - 2 * hugePage) {
    // aligned_alloc wants a multiple of the alignment. At least one unit, so
    // that memcpy of nothing still gets a valid pointer.
    size_t rounded = roundedUp(size ? size : 1, alignment);
    result.bytes =
        isMapped(size)
            ? mapPages(size)
            : static_cast<uint8_t *>(std::aligned_alloc(alignment, rounded));
  }
  if (!result.bytes)
    return Error{"out of memory: cannot allocate " + std::to_string(size) +
                 " bytes"};
  result.count = size;
  return result;
}

Expected<HostTensor> HostTensor::uninitialized(DType dtype, Shape shape) {
  std::optional<uint64_t> size = byteSize(dtype, shape);
  if (!size)
    return Error{"no tensor can have the type " + describe(dtype, shape) +
                 ": a dimension is negative or the size overflows"};
  Expected<AlignedBytes> data = AlignedBytes::allocate(*size);
  if (!data)
    return Error{data.message()};
  HostTensor tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.data = std::move(*data);
  return tensor;
}

Expected<HostTensor> HostTensor::zeros(DType dtype, Shape shape) {
  Expected<HostTensor> tensor = uninitialized(dtype, std::move(shape));
  if (tensor && !isMapped(tensor->data.size()))
    std::memset(tensor->data.data(), 0, tensor->data.size());
  return tensor;
}

Expected<HostTensor> HostTensor::copyOf(DType dtype, Shape shape,
                                        const void *elements) {
  Expected<HostTensor> tensor = uninitialized(dtype, std::move(shape));
  if (tensor && tensor->data.size() != 0)
    std::memcpy(tensor->data.data(), elements, tensor->data.size());
  return tensor;
}

Expected<HostTensor> HostTensor::clone() const {
  return copyOf(dtype, shape, data.data());
}

Status checkElements(const HostTensor &tensor) {
  return checkElements(tensor.dtype, tensor.data.data(), tensor.data.size());
}

Status checkElements(DType dtype, const void *elements, uint64_t size) {
  if (dtype != DType::Bool)
    return Status::success();
  const auto *bytes = static_cast<const uint8_t *>(elements);
  for (uint64_t i = 0; i < size; ++i)
    if (bytes[i] > 1)
      return Error{"BOOL element " + std::to_string(i) + " is the byte " +
                   std::to_string(bytes[i]) + ", expected 0 or 1"};
  return Status::success();
}

} // namespace plait::runtime
