//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of what the safetensors reader accepts and the writer writes.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/SafeTensors.h"
#include "TestUtils.h"

#include <cstring>

using namespace plait::runtime;

namespace {

/// Two tensors and metadata, byte by byte.
const unsigned char handBuilt[] = {
    // The header's size, 128.
    0x80, 0, 0, 0, 0, 0, 0, 0,
    // {"__metadata__":{"format":"pt"},
    '{', '"', '_', '_', 'm', 'e', 't', 'a', 'd', 'a', 't', 'a', '_', '_', '"',
    ':', '{', '"', 'f', 'o', 'r', 'm', 'a', 't', '"', ':', '"', 'p', 't', '"',
    '}', ',',
    // "w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
    '"', 'w', '"', ':', '{', '"', 'd', 't', 'y', 'p', 'e', '"', ':', '"', 'F',
    '3', '2', '"', ',', '"', 's', 'h', 'a', 'p', 'e', '"', ':', '[', '2', ']',
    ',', '"', 'd', 'a', 't', 'a', '_', 'o', 'f', 'f', 's', 'e', 't', 's', '"',
    ':', '[', '0', ',', '8', ']', '}', ',',
    // "s":{"dtype":"I8","shape":[],"data_offsets":[8,9]}}
    '"', 's', '"', ':', '{', '"', 'd', 't', 'y', 'p', 'e', '"', ':', '"', 'I',
    '8', '"', ',', '"', 's', 'h', 'a', 'p', 'e', '"', ':', '[', ']', ',', '"',
    'd', 'a', 't', 'a', '_', 'o', 'f', 'f', 's', 'e', 't', 's', '"', ':', '[',
    '8', ',', '9', ']', '}', '}',
    // 1.0f, -2.0f, int8_t(-3)
    0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0xfd};

std::string handBuiltFile() {
  std::string bytes(reinterpret_cast<const char *>(handBuilt),
                    sizeof(handBuilt));
  bytes[0] = static_cast<char>(sizeof(handBuilt) - 8 - 9);
  return bytes;
}

TEST(SafeTensors, ReadsHandBuiltFile) {
  ScratchFolder folder;
  writeText(folder / "f", handBuiltFile());
  Expected<SafeTensors> file = readSafeTensors(folder / "f");
  ASSERT_TRUE(file) << file.message();
  EXPECT_EQ(file->metadata, (Metadata{{"format", "pt"}}));
  ASSERT_EQ(file->tensors.size(), 2u);
  const HostTensor &w = file->tensors.at("w");
  EXPECT_EQ(describe(w.dtype, w.shape), "F32[2]");
  EXPECT_EQ(elementsOf<float>(w), (std::vector<float>{1.0f, -2.0f}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(w.data.data()) % 64, 0u);
  const HostTensor &s = file->tensors.at("s");
  EXPECT_EQ(describe(s.dtype, s.shape), "I8[]");
  EXPECT_EQ(elementsOf<int8_t>(s), (std::vector<int8_t>{-3}));
}

Expected<SafeTensors> parseHeader(std::string header) {
  header.insert(0, 8, '\0');
  header[0] = static_cast<char>(header.size() - 8);
  return parseSafeTensors(header.data(), header.size());
}

TEST(SafeTensors, AcceptsNoTensors) {
  Expected<SafeTensors> file = parseHeader("{}");
  ASSERT_TRUE(file) << file.message();
  EXPECT_TRUE(file->tensors.empty());
}

TEST(SafeTensors, AcceptsPaddingAndNullMetadata) {
  Expected<SafeTensors> file = parseHeader("{\"__metadata__\":null}    ");
  ASSERT_TRUE(file) << file.message();
  EXPECT_TRUE(file->metadata.empty());
}

TEST(SafeTensors, AcceptsUnknownFieldsAsTheReferenceDoes) {
  Expected<SafeTensors> file = parseHeader(
      "{\"a\":{\"x\":{\"y\":[1]},\"dtype\":\"U8\",\"z\":[[2]],\"shape\":[0],"
      "\"n\":null,\"data_offsets\":[0,0]}}");
  ASSERT_TRUE(file) << file.message();
  EXPECT_EQ(file->tensors.at("a").shape, (Shape{0}));
}

TEST(SafeTensors, AcceptsEmptyTensorsBetweenOthers) {
  std::map<std::string, HostTensor> tensors;
  tensors["a"] = makeTensor<uint8_t>(DType::U8, {2}, {1, 2});
  tensors["b"] = makeTensor<uint8_t>(DType::U8, {0, 5}, {});
  tensors["c"] = makeTensor<uint8_t>(DType::U8, {1}, {3});
  Expected<std::string> bytes = serializeSafeTensors(viewsOf(tensors));
  ASSERT_TRUE(bytes);
  Expected<SafeTensors> file = parseSafeTensors(bytes->data(), bytes->size());
  ASSERT_TRUE(file) << file.message();
  EXPECT_EQ(file->tensors.at("b").shape, (Shape{0, 5}));
  EXPECT_EQ(elementsOf<uint8_t>(file->tensors.at("c")),
            std::vector<uint8_t>{3});
}

/// Every dtype, with bytes that differ.
std::map<std::string, HostTensor> oneOfEach() {
  std::map<std::string, HostTensor> tensors;
  for (int i = 0; i <= static_cast<int>(DType::Bool); ++i) {
    DType dtype = static_cast<DType>(i);
    HostTensor tensor = std::move(*HostTensor::zeros(dtype, {3, 2}));
    for (size_t k = 0; k < tensor.data.size(); ++k)
      tensor.data.data()[k] = dtype == DType::Bool ? k % 2 : 16 * i + k;
    tensors[dtypeName(dtype)] = std::move(tensor);
  }
  return tensors;
}

TEST(SafeTensors, RoundTripOfEveryDtype) {
  ScratchFolder folder;
  std::map<std::string, HostTensor> tensors = oneOfEach();
  Metadata metadata = {{"format", "pt"}, {"\"\\\n\x01\x7f\u00e9", "\t"}};
  ASSERT_TRUE(writeSafeTensors(folder / "f", tensors, metadata));
  Expected<SafeTensors> file = readSafeTensors(folder / "f");
  ASSERT_TRUE(file) << file.message();
  EXPECT_EQ(file->metadata, metadata);
  ASSERT_EQ(file->tensors.size(), tensors.size());
  for (const auto &[name, tensor] : tensors) {
    const HostTensor &read = file->tensors.at(name);
    EXPECT_EQ(read.dtype, tensor.dtype);
    EXPECT_EQ(read.shape, tensor.shape);
    ASSERT_EQ(read.data.size(), tensor.data.size());
    EXPECT_EQ(
        std::memcmp(read.data.data(), tensor.data.data(), tensor.data.size()),
        0);
  }
}

TEST(SafeTensors, WritesTheseBytes) {
  uint8_t small[] = {1};
  float large[] = {1.0f};
  Expected<std::string> bytes =
      serializeSafeTensors({{"a", {DType::U8, {1}, small}},
                            {"b", {DType::F32, {}, large}},
                            {"c", {DType::U8, {1}, small}}},
                           {{"z", "2"}, {"y", "1"}});
  ASSERT_TRUE(bytes) << bytes.message();
  std::string header =
      R"({"__metadata__":{"y":"1","z":"2"},)"
      R"("b":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
      R"("a":{"dtype":"U8","shape":[1],"data_offsets":[4,5]},)"
      R"("c":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(bytes->substr(8, header.size()), header);
  EXPECT_EQ(static_cast<unsigned char>((*bytes)[0]), header.size());
  EXPECT_EQ(bytes->substr(8 + header.size()),
            std::string("\0\0\x80\x3f\1\1", 6));
}

TEST(SafeTensors, HeaderIsAlignedAndDataToo) {
  for (size_t length = 1; length < 20; ++length) {
    Expected<std::string> bytes =
        serializeSafeTensors({}, {{"k", std::string(length, 'v')}});
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->size() % 8, 0u);
  }
}

TEST(SafeTensors, WritesTheSameBytesForTheSameTensors) {
  ScratchFolder folder;
  std::map<std::string, HostTensor> tensors = oneOfEach();
  ASSERT_TRUE(writeSafeTensors(folder / "f", tensors, {{"k", "v"}}));
  ASSERT_TRUE(writeSafeTensors(folder / "g", tensors, {{"k", "v"}}));
  EXPECT_EQ(readText(folder / "f"), readText(folder / "g"));
  Expected<std::string> bytes =
      serializeSafeTensors(viewsOf(tensors), {{"k", "v"}});
  ASSERT_TRUE(bytes);
  EXPECT_EQ(readText(folder / "f"), *bytes);
  EXPECT_EQ(folder.files().size(), 2u);
}

TEST(SafeTensors, HeaderAloneIsCheckedAgainstTheFile) {
  ScratchFolder folder;
  HostTensor tensor = makeTensor<float>(DType::F32, {2}, {1, 2});
  std::map<std::string, TensorView> views = {
      {"w", {tensor.dtype, tensor.shape, tensor.data.data()}}};
  ASSERT_TRUE(writeSafeTensors(folder / "f", views, {{"key", "value"}}));
  Expected<SafeTensorsHeader> header = readSafeTensorsHeader(folder / "f");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->metadata, (Metadata{{"key", "value"}}));
  EXPECT_EQ(header->entries.at("w").shape, (Shape{2}));

  std::string bytes = readText(folder / "f");
  writeText(folder / "f", bytes.substr(0, bytes.size() - 1));
  Expected<SafeTensorsHeader> cut = readSafeTensorsHeader(folder / "f");
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.message().rfind(folder / "f: ", 0), 0u) << cut.message();
}

TEST(SafeTensorsWrite, RefuseReservedName) {
  expectError(serializeSafeTensors({{"__metadata__", {DType::U8, {0}, ""}}}),
              "no tensor may be named '__metadata__'");
}

TEST(SafeTensorsWrite, RefuseNameNotUtf8) {
  expectError(serializeSafeTensors({{"a\xff", {DType::U8, {0}, ""}}}),
              "the name 'a\\xff' is not UTF-8");
}

TEST(SafeTensorsWrite, RefuseMetadataNotUtf8) {
  expectError(serializeSafeTensors({}, {{"k", "\xc0\x80"}}),
              "the metadata 'k' is not UTF-8");
  expectError(serializeSafeTensors({}, {{"\xff", "v"}}),
              "the metadata '\\xff' is not UTF-8");
}

TEST(SafeTensorsWrite, RefuseShapeWithoutSize) {
  expectError(serializeSafeTensors({{"a", {DType::U8, {-1}, ""}}}),
              "tensor 'a': U8[-1] has no size");
}

TEST(SafeTensorsWrite, RefuseHeaderOverLimit) {
  expectError(serializeSafeTensors({}, {{"k", std::string(100'000'000, 'v')}}),
              "the header has 100000032 bytes, more than the limit of 100 MB");
}

TEST(SafeTensorsWrite, RefusalLeavesTheOldFile) {
  ScratchFolder folder;
  writeText(folder / "f", "old");
  std::map<std::string, TensorView> bad = {{"a", {DType::U8, {-1}, ""}}};
  expectError(writeSafeTensors(folder / "f", bad),
              folder / "f" + ": tensor 'a': U8[-1] has no size");
  EXPECT_EQ(readText(folder / "f"), "old");
}

} // namespace
