//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// NumPy's .npy files: a header that is a Python dictionary, then the elements.
//
// This file decides how much Python it understands: one dictionary whose values
// are strings, True or False, and tuples of integers, which is all that NumPy
// writes for arrays of plain elements. The parser does not recurse.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/Npy.h"
#include "plait/Runtime/File.h"

#include <cstring>

namespace plait::runtime {

/// NumPy's own headers stay below 10,000 bytes.
static constexpr uint64_t maxHeader = 1 << 20;
static constexpr size_t maxRank = 64;

namespace {

struct NpyHeader {
  std::string descr;
  bool fortranOrder = false;
  Shape shape;
};

/// Reads the dictionary. Each method returns false after setting `error`.
class DictParser {
public:
  explicit DictParser(const std::string &text) : text(text) {}

  std::string error;
  bool parse(NpyHeader &header);

private:
  void skipSpaces() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n'))
      ++at;
  }
  bool take(char c) {
    skipSpaces();
    if (at >= text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }
  bool takeWord(const char *word) {
    skipSpaces();
    if (text.compare(at, std::strlen(word), word) != 0)
      return false;
    at += std::strlen(word);
    return true;
  }
  bool fail(const std::string &message) {
    if (error.empty())
      error = message;
    return false;
  }
  bool malformed() {
    return fail("malformed header, near its character " + std::to_string(at));
  }

  bool parseField(const std::string &key, NpyHeader &header);
  bool parseString(std::string &result);
  bool parseBool(bool &result);
  bool parseShape(Shape &shape);
  bool parseDimension(Shape &shape);

  const std::string &text;
  size_t at = 0;
  bool seenDescr = false, seenOrder = false, seenShape = false;
};

} // namespace

bool DictParser::parse(NpyHeader &header) {
  if (!take('{'))
    return malformed();
  while (!take('}')) {
    std::string key;
    if (!parseString(key))
      return false;
    if (!take(':'))
      return malformed();
    if (!parseField(key, header))
      return false;
    if (take(','))
      continue;
    if (!take('}'))
      return malformed();
    break;
  }
  skipSpaces();
  if (at != text.size())
    return malformed();
  if (!seenDescr || !seenOrder || !seenShape)
    return fail(std::string("the header has no ") + (!seenDescr ? "'descr'"
                                                     : !seenOrder
                                                         ? "'fortran_order'"
                                                         : "'shape'"));
  return true;
}

bool DictParser::parseField(const std::string &key, NpyHeader &header) {
  bool *seen = key == "descr"           ? &seenDescr
               : key == "fortran_order" ? &seenOrder
               : key == "shape"         ? &seenShape
                                        : nullptr;
  if (!seen)
    return fail("unexpected key " + printable(key) + " in the header");
  if (*seen)
    return fail("the header has " + printable(key) + " twice");
  *seen = true;
  if (seen == &seenOrder)
    return parseBool(header.fortranOrder);
  if (seen == &seenShape)
    return parseShape(header.shape);
  skipSpaces();
  if (at < text.size() && text[at] == '[')
    return fail("structured arrays are not supported: save each field by "
                "itself");
  return parseString(header.descr);
}

bool DictParser::parseString(std::string &result) {
  skipSpaces();
  if (at >= text.size() || (text[at] != '\'' && text[at] != '"'))
    return malformed();
  size_t close = text.find(text[at], at + 1);
  if (close == std::string::npos)
    return malformed();
  result = text.substr(at + 1, close - at - 1);
  at = close + 1;
  return true;
}

bool DictParser::parseBool(bool &result) {
  result = takeWord("True");
  return result || takeWord("False") || malformed();
}

bool DictParser::parseShape(Shape &shape) {
  if (!take('('))
    return malformed();
  while (!take(')')) {
    if (!parseDimension(shape))
      return false;
    if (take(','))
      continue;
    // Python reads "(3)" as a number; only a comma makes it a tuple.
    if (shape.size() == 1 || !take(')'))
      return malformed();
    break;
  }
  return true;
}

bool DictParser::parseDimension(Shape &shape) {
  if (take('-'))
    return fail("the shape has a negative dimension");
  skipSpaces();
  int64_t value = 0;
  size_t start = at;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, text[at] - '0', &value))
      return fail("the size of the shape overflows");
  if (at == start)
    return malformed();
  if (shape.size() == maxRank)
    return fail("the shape has more than 64 dimensions");
  shape.push_back(value);
  return true;
}

static Expected<DType> dtypeOf(const std::string &descr) {
  struct Known {
    const char *descr;
    DType dtype;
  };
  static constexpr Known known[] = {
      {"f2", DType::F16}, {"f4", DType::F32}, {"f8", DType::F64},
      {"i1", DType::I8},  {"i2", DType::I16}, {"i4", DType::I32},
      {"i8", DType::I64}, {"u1", DType::U8},  {"u2", DType::U16},
      {"u4", DType::U32}, {"u8", DType::U64}, {"b1", DType::Bool}};
  // ml_dtypes registers bfloat16 as little-endian void of two bytes. Void made
  // by anything else has no byte order ('|V2') and no known meaning.
  if (descr == "<V2")
    return DType::BF16;
  if (descr == "|O")
    return Error{"arrays of Python objects are not supported: convert with "
                 "a.astype(np.float32) or another numeric type"};
  char order = descr.empty() ? '\0' : descr[0];
  for (const Known &candidate : known) {
    if (descr.compare(order ? 1 : 0, std::string::npos, candidate.descr) != 0)
      continue;
    if (order == '<' || (order == '|' && elementSize(candidate.dtype) == 1))
      return candidate.dtype;
    if (order == '>')
      return Error{"big-endian elements (" + printable(descr) +
                   "): convert with a.astype(a.dtype.newbyteorder('<'))"};
  }
  return Error{"unsupported element type " + printable(descr) +
               ": convert with a.astype(...) to a float, integer or bool type"};
}

/// Reads what comes before the elements; `dataStart` is their first byte.
static Expected<NpyHeader> readHeader(const ByteSource &source,
                                      uint64_t &dataStart) {
  constexpr char magic[] = "\x93NUMPY";
  // Magic, two version bytes and the longer form of the header's size.
  uint8_t start[12] = {};
  size_t have = source.size() < sizeof(start) ? source.size() : sizeof(start);
  if (Status status = source.read(0, start, have); !status)
    return status;
  if (have < 10 || std::memcmp(start, magic, 6) != 0)
    return Error{"not an .npy file"};
  if (start[6] < 1 || start[6] > 3 || start[7] != 0)
    return Error{"unknown .npy version " + std::to_string(start[6]) + "." +
                 std::to_string(start[7])};
  uint64_t length = start[8] | start[9] << 8;
  dataStart = 10;
  if (start[6] > 1) {
    if (have < 12)
      return Error{"truncated inside its header"};
    length |= uint64_t(start[10]) << 16 | uint64_t(start[11]) << 24;
    dataStart = 12;
  }
  if (length > source.size() - dataStart)
    return Error{"truncated inside its header"};
  if (length > maxHeader)
    return Error{"the header has " + std::to_string(length) +
                 " bytes, more than the limit of 1 MiB"};
  std::string text(length, '\0');
  if (Status status = source.read(dataStart, text.data(), length); !status)
    return status;
  dataStart += length;
  NpyHeader header;
  DictParser parser(text);
  if (!parser.parse(header))
    return Error{parser.error};
  return header;
}

static Expected<HostTensor> readFrom(const ByteSource &source) {
  uint64_t dataStart = 0;
  Expected<NpyHeader> header = readHeader(source, dataStart);
  if (!header)
    return Error{header.message()};
  Expected<DType> dtype = dtypeOf(header->descr);
  if (!dtype)
    return Error{dtype.message()};
  if (header->fortranOrder)
    return Error{"the array is in Fortran order: save "
                 "np.ascontiguousarray(a) instead"};
  std::optional<uint64_t> size = byteSize(*dtype, header->shape);
  if (!size)
    return Error{"the size of the shape overflows"};
  // Before memory is asked for: the header alone could claim anything.
  uint64_t available = source.size() - dataStart;
  if (*size != available)
    return Error{describe(*dtype, header->shape) + " needs " +
                 std::to_string(*size) + " bytes, the file has " +
                 std::to_string(available) +
                 (*size > available ? ": truncated" : ": trailing bytes")};
  Expected<HostTensor> tensor =
      HostTensor::uninitialized(*dtype, std::move(header->shape));
  if (!tensor)
    return tensor;
  if (Status status = source.read(dataStart, tensor->data.data(), *size);
      !status)
    return status;
  if (Status status = checkElements(*tensor); !status)
    return status;
  return tensor;
}

Expected<HostTensor> readNpy(const std::string &path) {
  Expected<InputFile> file = InputFile::open(path);
  if (!file)
    return Error{file.message()};
  Expected<HostTensor> tensor = readFrom(*file);
  if (!tensor)
    return Error{path + ": " + tensor.message()};
  return tensor;
}

Expected<HostTensor> parseNpy(const void *data, size_t size) {
  return readFrom(MemorySource(data, size));
}

} // namespace plait::runtime
