//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the safetensors reader's refusals: each is one malformed file.
//
//===----------------------------------------------------------------------===//

#include "TestUtils.h"
#include "plait/Runtime/SafeTensors.h"

#include <unistd.h>

using namespace plait::runtime;

namespace {

std::string littleEndian(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i)
    bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

Expected<SafeTensors> parse(const std::string &bytes) {
  return parseSafeTensors(bytes.data(), bytes.size());
}

/// Parses a file with this header and `dataSize` bytes of zeros.
Expected<SafeTensors> parseWith(const std::string &header,
                                size_t dataSize = 0) {
  return parse(littleEndian(header.size()) + header +
               std::string(dataSize, '\0'));
}

/// The header of one tensor 'a'.
std::string entry(const std::string &dtype, const std::string &shape,
                  const std::string &offsets) {
  return "{\"a\":{\"dtype\":" + dtype + ",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}}";
}

TEST(SafeTensorsRefuse, ShorterThanPrefix) {
  expectError(parse(""), "shorter than 8 bytes: not a safetensors file");
  expectError(parse(std::string(7, '\0')),
              "shorter than 8 bytes: not a safetensors file");
}

TEST(SafeTensorsRefuse, HeaderLargerThanFile) {
  expectError(parse(littleEndian(3) + "{}"),
              "the header claims 3 bytes, more than the file has (2)");
}

TEST(SafeTensorsRefuse, HeaderOverLimit) {
  expectError(parse(littleEndian(100'000'001) + "{}"),
              "the header claims 100000001 bytes, more than the limit of 100 "
              "MB");
  expectError(parse(littleEndian(UINT64_MAX) + "{}"),
              "the header claims 18446744073709551615 bytes, more than the "
              "limit of 100 MB");
}

TEST(SafeTensorsRefuse, EmptyHeader) {
  expectError(parseWith(""), "the header is not valid JSON (near its byte 1)");
}

TEST(SafeTensorsRefuse, HeaderNotJson) {
  expectError(parseWith("{\"a\":"),
              "the header is not valid JSON (near its byte 6)");
}

TEST(SafeTensorsRefuse, BytesAfterTheObject) {
  expectError(parseWith("{}{}"),
              "the header is not valid JSON (near its byte 3)");
}

TEST(SafeTensorsRefuse, NameNotUtf8) {
  expectError(parseWith("{\"\xff\":{}}"),
              "the header is not valid JSON (near its byte 3)");
}

TEST(SafeTensorsRefuse, HeaderNotAnObject) {
  expectError(parseWith("[]"), "the header is not a JSON object");
  expectError(parseWith("7"), "the header is not a JSON object");
  expectError(parseWith("null"), "the header is not a JSON object");
  expectError(parseWith("\"a\""), "the header is not a JSON object");
}

TEST(SafeTensorsRefuse, HeaderBeginsWithSpace) {
  expectError(parseWith(" {}"), "the header does not begin with '{'");
}

TEST(SafeTensorsRefuse, HeaderBeginsWithByteOrderMark) {
  expectError(parseWith("\xef\xbb\xbf{}"),
              "the header does not begin with '{'");
}

TEST(SafeTensorsRefuse, Nesting) {
  const std::string message = "the header's JSON is nested deeper than 4";
  expectError(parseWith("{\"a\":{\"x\":[[[]]]}}"), message);
  // What overflowed the stack of llvm::json.
  expectError(parseWith(std::string(1'000'000, '[')), message);
  // Nesting is told even where the structure is already wrong.
  expectError(parseWith("{\"a\":[[[[]]]]}"), message);
}

TEST(SafeTensorsRefuse, EntryNotAnObject) {
  const std::string message = "tensor 'a': its entry is not an object";
  expectError(parseWith("{\"a\":7}"), message);
  expectError(parseWith("{\"a\":null}"), message);
  expectError(parseWith("{\"a\":[]}"), message);
}

TEST(SafeTensorsRefuse, MissingFields) {
  expectError(parseWith("{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4),
              "tensor 'a': its entry has no dtype");
  expectError(parseWith("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}"),
              "tensor 'a': its entry has no shape");
  expectError(parseWith("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}"),
              "tensor 'a': its entry has no data_offsets");
}

TEST(SafeTensorsRefuse, UnknownDtype) {
  expectError(parseWith(entry("\"F8_E4M3\"", "[4]", "[0,4]"), 4),
              "tensor 'a': unknown dtype 'F8_E4M3' (known: F32, F64, F16, "
              "BF16, I8, I16, I32, I64, U8, U16, U32, U64, BOOL)");
}

TEST(SafeTensorsRefuse, DtypeNotAString) {
  const std::string message = "tensor 'a': its dtype is not a string";
  expectError(parseWith(entry("4", "[1]", "[0,4]"), 4), message);
  expectError(parseWith(entry("[\"F32\"]", "[1]", "[0,4]"), 4), message);
  expectError(parseWith(entry("{}", "[1]", "[0,4]"), 4), message);
}

TEST(SafeTensorsRefuse, NegativeShape) {
  expectError(parseWith(entry("\"F32\"", "[-1]", "[0,4]"), 4),
              "tensor 'a': its shape has a negative dimension");
}

TEST(SafeTensorsRefuse, NonIntegerShape) {
  const std::string message = "tensor 'a': its shape is not a list of integers";
  for (const char *shape : {"[1.0]", "[\"1\"]", "[true]", "[null]", "[[1]]",
                            "[{}]", "1", "\"1\"", "{}", "{\"x\":1}", "null"})
    expectError(parseWith(entry("\"F32\"", shape, "[0,4]"), 4), message);
}

TEST(SafeTensorsRefuse, ShapeOverflow) {
  const std::string message = "tensor 'a': the size of its shape overflows";
  for (const char *shape : {"[4294967296,4294967296]", "[9223372036854775807]",
                            "[9223372036854775808]", "[18446744073709551615,2]",
                            "[0,4611686018427387904,8]"})
    expectError(parseWith(entry("\"F32\"", shape, "[0,0]")), message);
}

TEST(SafeTensorsRefuse, ShapeBeyondAnyInteger) {
  // The parser turns it into a floating-point number.
  expectError(parseWith(entry("\"F32\"", "[18446744073709551616]", "[0,4]"), 4),
              "tensor 'a': its shape is not a list of integers");
}

TEST(SafeTensorsRefuse, RankOverLimit) {
  std::string shape = "[1";
  for (int i = 0; i < 64; ++i)
    shape += ",1";
  expectError(parseWith(entry("\"U8\"", shape + "]", "[0,1]"), 1),
              "tensor 'a': its shape has more than 64 dimensions");
}

TEST(SafeTensorsRefuse, OffsetsNotIntegers) {
  const std::string message =
      "tensor 'a': its data_offsets are not a list of integers";
  for (const char *offsets : {"[0,4.0]", "[\"0\",4]", "4", "{}", "[[0,4]]"})
    expectError(parseWith(entry("\"F32\"", "[1]", offsets), 4), message);
}

TEST(SafeTensorsRefuse, OffsetsNegative) {
  expectError(parseWith(entry("\"F32\"", "[1]", "[-4,0]"), 4),
              "tensor 'a': its data_offsets are negative");
}

TEST(SafeTensorsRefuse, OffsetsNotTwo) {
  const std::string message =
      "tensor 'a': its data_offsets are not two numbers";
  for (const char *offsets : {"[]", "[0]", "[0,4,8]"})
    expectError(parseWith(entry("\"F32\"", "[1]", offsets), 4), message);
}

TEST(SafeTensorsRefuse, OffsetsReversed) {
  expectError(parseWith(entry("\"F32\"", "[1]", "[4,0]"), 4),
              "tensor 'a': its data_offsets are reversed, [4, 0]");
}

TEST(SafeTensorsRefuse, SizeDisagreesWithShape) {
  expectError(parseWith(entry("\"F32\"", "[2,3]", "[0,20]"), 20),
              "tensor 'a': F32[2, 3] needs 24 bytes, its data_offsets give 20");
}

TEST(SafeTensorsRefuse, TensorPastTheEnd) {
  expectError(parseWith(entry("\"F32\"", "[2]", "[0,8]"), 4),
              "tensor 'a' ends at data byte 8, but the file has only 4");
}

TEST(SafeTensorsRefuse, HugeTensorPastTheEnd) {
  // Refused before memory for it is asked for.
  expectError(parseWith(entry("\"U8\"", "[4611686018427387904]",
                              "[0,4611686018427387904]")),
              "tensor 'a' ends at data byte 4611686018427387904, but the file "
              "has only 0");
}

/// Two U8 tensors with these ranges.
std::string twoTensors(int begin0, int end0, int begin1, int end1) {
  auto one = [](const char *name, int begin, int end) {
    return std::string("\"") + name + "\":{\"dtype\":\"U8\",\"shape\":[" +
           std::to_string(end - begin) + "],\"data_offsets\":[" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  return "{" + one("a", begin0, end0) + "," + one("b", begin1, end1) + "}";
}

TEST(SafeTensorsRefuse, HoleAtTheStart) {
  expectError(
      parseWith(entry("\"U8\"", "[1]", "[2,3]"), 3),
      "hole: data bytes 0 to 2, before tensor 'a', belong to no tensor");
}

TEST(SafeTensorsRefuse, HoleBetweenTensors) {
  expectError(
      parseWith(twoTensors(0, 2, 3, 5), 5),
      "hole: data bytes 2 to 3, before tensor 'b', belong to no tensor");
}

TEST(SafeTensorsRefuse, Overlap) {
  expectError(parseWith(twoTensors(0, 4, 3, 5), 5),
              "tensor 'b' overlaps tensor 'a'");
  expectError(parseWith(twoTensors(0, 4, 0, 4), 4),
              "tensor 'b' overlaps tensor 'a'");
  // An empty tensor inside another.
  expectError(parseWith(twoTensors(0, 4, 2, 2), 4),
              "tensor 'b' overlaps tensor 'a'");
}

TEST(SafeTensorsRefuse, TrailingBytes) {
  expectError(parseWith(entry("\"U8\"", "[2]", "[0,2]"), 5),
              "3 trailing bytes belong to no tensor");
  expectError(parseWith("{}", 1), "1 trailing bytes belong to no tensor");
}

TEST(SafeTensorsRefuse, DuplicateName) {
  const std::string one =
      "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
  expectError(parseWith("{" + one + "," + one + "}"),
              "the name 'a' occurs twice");
}

TEST(SafeTensorsRefuse, DuplicateNameSpelledWithEscapes) {
  const std::string rest =
      "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
  expectError(parseWith("{\"a" + rest + ",\"\\u0061" + rest + "}"),
              "the name 'a' occurs twice");
}

TEST(SafeTensorsRefuse, DuplicateField) {
  expectError(parseWith("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"shape\":[0],"
                        "\"data_offsets\":[0,0]}}"),
              "tensor 'a': 'shape' occurs twice");
}

TEST(SafeTensorsRefuse, DuplicateMetadata) {
  expectError(parseWith("{\"__metadata__\":{},\"__metadata__\":{}}"),
              "the name '__metadata__' occurs twice");
  expectError(parseWith("{\"__metadata__\":null,\"__metadata__\":{}}"),
              "the name '__metadata__' occurs twice");
  expectError(parseWith("{\"__metadata__\":{\"k\":\"1\",\"k\":\"1\"}}"),
              "the metadata 'k' occurs twice");
}

TEST(SafeTensorsRefuse, MetadataNotAnObject) {
  expectError(parseWith("{\"__metadata__\":\"x\"}"),
              "the metadata is not an object");
  expectError(parseWith("{\"__metadata__\":[]}"),
              "the metadata is not an object");
}

TEST(SafeTensorsRefuse, MetadataNotStrings) {
  const std::string message = "the metadata 'k' is not a string";
  for (const char *value : {"1", "1.5", "null", "true", "[]", "{}"})
    expectError(
        parseWith("{\"__metadata__\":{\"k\":" + std::string(value) + "}}"),
        message);
}

TEST(SafeTensorsRefuse, BoolThatIsNeither) {
  std::string header = entry("\"BOOL\"", "[2]", "[0,2]");
  expectError(parse(littleEndian(header.size()) + header + "\1\2"),
              "tensor 'a': BOOL element 1 is the byte 2, expected 0 or 1");
}

TEST(SafeTensorsRefuse, HostileNameIsEscapedInTheMessage) {
  expectError(parseWith("{\"\\u001b[2J\":7}"),
              "tensor '\\x1b[2J': its entry is not an object");
}

TEST(SafeTensorsRefuse, MessagesNameTheFile) {
  ScratchFolder folder;
  writeText(folder / "f", "short");
  expectError(readSafeTensors(folder / "f"),
              folder / "f" + ": shorter than 8 bytes: not a safetensors file");
  expectError(readSafeTensors(folder / "none"),
              folder / "none" + ": cannot open: No such file or directory");
}

TEST(SafeTensorsRefuse, HeaderOverLimitThatTheFileHas) {
  ScratchFolder folder;
  writeText(folder / "f", littleEndian(100'000'001));
  ASSERT_EQ(::truncate((folder / "f").c_str(), 100'000'100), 0);
  expectError(readSafeTensors(folder / "f"),
              folder / "f" + ": the header claims 100000001 bytes, more than "
                             "the limit of 100 MB");
}

} // namespace
