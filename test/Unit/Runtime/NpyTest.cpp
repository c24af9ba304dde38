//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the .npy reader.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/Npy.h"
#include "TestUtils.h"

using namespace plait::runtime;

namespace {

/// A file of the given version; the header is not padded, which readers allow.
std::string npy(const std::string &dict, const std::string &data = "",
                char major = 1) {
  std::string bytes = std::string("\x93NUMPY") + major + '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i)
    bytes += static_cast<char>(dict.size() >> (8 * i) & 255);
  return bytes + dict + data;
}

std::string dict(const std::string &descr, const std::string &shape,
                 const std::string &order = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + order +
         ", 'shape': " + shape + ", }\n";
}

Expected<HostTensor> parse(const std::string &bytes) {
  return parseNpy(bytes.data(), bytes.size());
}

TEST(Npy, ReadsHandBuiltFile) {
  ScratchFolder folder;
  // numpy.save of np.array([[1, -2]], np.float32).
  std::string bytes("\x93NUMPY\x01\x00\x76\x00", 10);
  bytes += "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
  bytes.append(127 - bytes.size(), ' ');
  bytes += '\n';
  bytes += std::string("\0\0\x80\x3f\0\0\0\xc0", 8);
  writeText(folder / "f", bytes);
  Expected<HostTensor> tensor = readNpy(folder / "f");
  ASSERT_TRUE(tensor) << tensor.message();
  EXPECT_EQ(describe(tensor->dtype, tensor->shape), "F32[1, 2]");
  EXPECT_EQ(elementsOf<float>(*tensor), (std::vector<float>{1.0f, -2.0f}));
}

TEST(Npy, ReadsEveryDtype) {
  const std::pair<const char *, DType> cases[] = {
      {"'<f2'", DType::F16}, {"'<f4'", DType::F32}, {"'<f8'", DType::F64},
      {"'|i1'", DType::I8},  {"'<i2'", DType::I16}, {"'<i4'", DType::I32},
      {"'<i8'", DType::I64}, {"'|u1'", DType::U8},  {"'<u2'", DType::U16},
      {"'<u4'", DType::U32}, {"'<u8'", DType::U64}, {"'|b1'", DType::Bool},
      {"'<V2'", DType::BF16}};
  for (auto [descr, dtype] : cases) {
    Expected<HostTensor> tensor = parse(
        npy(dict(descr, "(3,)"), std::string(3 * elementSize(dtype), '\1')));
    ASSERT_TRUE(tensor) << tensor.message();
    EXPECT_EQ(tensor->dtype, dtype);
  }
}

TEST(Npy, ReadsEveryVersion) {
  for (char major : {1, 2, 3})
    EXPECT_TRUE(parse(npy(dict("'|u1'", "(2,)"), "ab", major)));
}

TEST(Npy, ReadsScalarAndEmpty) {
  Expected<HostTensor> scalar = parse(npy(dict("'|u1'", "()"), "a"));
  ASSERT_TRUE(scalar);
  EXPECT_EQ(scalar->shape, Shape{});
  Expected<HostTensor> empty = parse(npy(dict("'<f4'", "(0, 7)")));
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->shape, (Shape{0, 7}));
}

TEST(Npy, ReadsKeysInAnyOrderAndEitherQuote) {
  EXPECT_TRUE(parse(npy("{\"shape\":(1,),'descr':\"<u2\",'fortran_order':"
                        "False}",
                        "ab")));
}

TEST(NpyRefuse, OtherFiles) {
  expectError(parse(""), "not an .npy file");
  expectError(parse("PK\3\4 an .npz file"), "not an .npy file");
}

TEST(NpyRefuse, UnknownVersion) {
  expectError(parse(npy("{}", "", 4)), "unknown .npy version 4.0");
}

TEST(NpyRefuse, TruncatedHeader) {
  std::string bytes = npy(dict("'|u1'", "(2,)"), "");
  expectError(parse(bytes.substr(0, 20)), "truncated inside its header");
  expectError(parse(std::string("\x93NUMPY\2\0\1\0", 10)),
              "truncated inside its header");
}

TEST(NpyRefuse, HeaderOverLimit) {
  expectError(parse(npy(std::string((1 << 20) + 1, ' '), "", 2)),
              "the header has 1048577 bytes, more than the limit of 1 MiB");
}

TEST(NpyRefuse, MalformedHeader) {
  for (const char *text :
       {"", "{", "{'descr'", "{'descr':", "{'descr' '<f4'}", "{'descr': 4}",
        "{'descr': '<f4", "[]", "{'shape': 3}", "{'shape': (3)}",
        "{'shape': (3 4)}", "{'shape': (3,", "{'shape': (3.0,)}",
        "{'shape': (,)}", "{'fortran_order': 0}", "{'descr': '<f4'} x"}) {
    Expected<HostTensor> tensor = parse(npy(text));
    ASSERT_FALSE(tensor) << text;
    EXPECT_EQ(
        tensor.message().rfind("malformed header, near its character ", 0), 0u)
        << text << ": " << tensor.message();
  }
}

TEST(NpyRefuse, MissingKey) {
  expectError(parse(npy("{'descr': '<f4', 'shape': ()}")),
              "the header has no 'fortran_order'");
  expectError(parse(npy("{}")), "the header has no 'descr'");
}

TEST(NpyRefuse, KeyTwice) {
  expectError(parse(npy("{'descr': '<f4', 'descr': '<f4'}")),
              "the header has 'descr' twice");
}

TEST(NpyRefuse, UnexpectedKey) {
  expectError(parse(npy("{'dtype': '<f4'}")),
              "unexpected key 'dtype' in the header");
}

TEST(NpyRefuse, FortranOrder) {
  expectError(parse(npy(dict("'<f4'", "(1, 1)", "True"), "abcd")),
              "the array is in Fortran order: save np.ascontiguousarray(a) "
              "instead");
}

TEST(NpyRefuse, BigEndian) {
  expectError(parse(npy(dict("'>f4'", "(1,)"), "abcd")),
              "big-endian elements ('>f4'): convert with "
              "a.astype(a.dtype.newbyteorder('<'))");
}

TEST(NpyRefuse, Objects) {
  expectError(parse(npy(dict("'|O'", "(1,)"), "abcd")),
              "arrays of Python objects are not supported: convert with "
              "a.astype(np.float32) or another numeric type");
}

TEST(NpyRefuse, Structured) {
  expectError(parse(npy(dict("[('a', '<f4')]", "(1,)"), "abcd")),
              "structured arrays are not supported: save each field by itself");
}

TEST(NpyRefuse, UnsupportedTypes) {
  for (const char *descr : {"<c8", "<U4", "|V2", "<M8[ns]", "|f4", "", "<"})
    expectError(
        parse(npy(dict("'" + std::string(descr) + "'", "(1,)"), "abcdefgh")),
        "unsupported element type '" + std::string(descr) +
            "': convert with a.astype(...) to a float, integer or bool type");
}

TEST(NpyRefuse, NegativeShape) {
  expectError(parse(npy(dict("'<f4'", "(-1,)"))),
              "the shape has a negative dimension");
}

TEST(NpyRefuse, ShapeOverflow) {
  expectError(parse(npy(dict("'<f4'", "(9223372036854775807,)"))),
              "the size of the shape overflows");
  expectError(parse(npy(dict("'<f4'", "(9223372036854775808,)"))),
              "the size of the shape overflows");
}

TEST(NpyRefuse, RankOverLimit) {
  std::string shape = "(";
  for (int i = 0; i < 65; ++i)
    shape += "1,";
  expectError(parse(npy(dict("'|u1'", shape + ")"), "a")),
              "the shape has more than 64 dimensions");
}

TEST(NpyRefuse, TruncatedData) {
  expectError(parse(npy(dict("'<f4'", "(2,)"), "abcd")),
              "F32[2] needs 8 bytes, the file has 4: truncated");
}

TEST(NpyRefuse, TrailingBytes) {
  expectError(parse(npy(dict("'<f4'", "(1,)"), "abcde")),
              "F32[1] needs 4 bytes, the file has 5: trailing bytes");
}

TEST(NpyRefuse, BoolThatIsNeither) {
  expectError(parse(npy(dict("'|b1'", "(1,)"), "\2")),
              "BOOL element 0 is the byte 2, expected 0 or 1");
}

TEST(NpyRefuse, MessagesNameTheFile) {
  ScratchFolder folder;
  writeText(folder / "f", "no");
  expectError(readNpy(folder / "f"), folder / "f" + ": not an .npy file");
}

} // namespace
