//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// safetensors headers.
//
// This file decides which JSON is a safetensors header. It listens to a SAX
// parser instead of building a tree: a tree keeps the last of two equal keys
// without a word, and needs memory many times the header's size. When several
// things are wrong, nesting and broken JSON are reported before a wrong
// structure, since a structure read from broken JSON means little.
//
//===----------------------------------------------------------------------===//

// Fixed here too, so that a client's flags cannot turn errors into throws.
#ifndef JSON_NOEXCEPTION
#define JSON_NOEXCEPTION
#endif

#include "plait/Runtime/SafeTensors.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <tuple>

namespace plait::runtime {

using nlohmann::json;

namespace {

constexpr int maxNesting = 4;
constexpr size_t maxRank = 64;
constexpr const char *metadataKey = "__metadata__";

/// Builds a SafeTensorsHeader from parser events. The depth says where we are:
/// 1 the header object, 2 a tensor's entry or the metadata, 3 an entry's list.
class HeaderListener : public json::json_sax_t {
public:
  SafeTensorsHeader header;
  /// Stops the parser: broken JSON or nesting.
  std::string fatal;
  /// The first wrong structure; the parser goes on, to find a fatal error.
  std::string wrong;

  bool null() override {
    // The reference reader takes null metadata for none.
    if (depth == 1 && inMetadata())
      return listening() ? markMetadata() : true;
    return other();
  }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t value) override {
    return integer(value < 0, 0);
  }
  bool number_unsigned(number_unsigned_t value) override {
    return integer(false, value);
  }
  bool number_float(number_float_t, const string_t &) override {
    return other();
  }
  bool string(string_t &value) override;
  bool binary(binary_t &) override { return other(); }
  bool start_object(std::size_t) override { return start(/*isObject=*/true); }
  bool start_array(std::size_t) override { return start(/*isObject=*/false); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(string_t &name) override;
  bool parse_error(std::size_t position, const std::string &,
                   const nlohmann::detail::exception &) override {
    if (fatal.empty())
      fatal = "the header is not valid JSON (near its byte " +
              std::to_string(position) + ")";
    return false;
  }

private:
  enum Field { None, DTypeField, ShapeField, OffsetsField, Ignored };

  bool start(bool isObject);
  void startEntry();
  bool end();
  void finishEntry();
  bool integer(bool negative, uint64_t value);
  bool other();
  bool fail(const std::string &message) {
    if (wrong.empty())
      wrong = message;
    return true;
  }

  bool listening() const { return wrong.empty() && ignoredDepth == 0; }
  bool inMetadata() const { return name == metadataKey; }
  bool markMetadata() {
    if (metadataSeen)
      return fail("the name '__metadata__' occurs twice");
    return metadataSeen = true;
  }
  bool notAnObject() {
    return fail(inMetadata() ? "the metadata is not an object"
                             : tensor() + ": its entry is not an object");
  }
  std::string tensor() const { return "tensor " + printable(name); }

  int depth = 0;
  /// Inside the value of an unknown key that starts at this depth.
  int ignoredDepth = 0;
  bool metadataSeen = false;
  /// The key at depth 1, and at depth 2.
  std::string name, fieldName;
  Field field = None;
  SafeTensorsEntry entry;
  std::vector<uint64_t> offsets;
  std::set<std::string> fieldsSeen;
};

} // namespace

bool HeaderListener::start(bool isObject) {
  if (++depth > maxNesting) {
    fatal = "the header's JSON is nested deeper than 4";
    return false;
  }
  if (!listening())
    return true;
  if (depth == 1 && !isObject)
    return fail("the header is not a JSON object");
  if (depth == 2) {
    if (!isObject)
      return notAnObject();
    startEntry();
  }
  if (depth == 3) {
    if (inMetadata())
      return fail("the metadata " + printable(fieldName) + " is not a string");
    if (field == Ignored)
      ignoredDepth = depth;
    else if (isObject || field == DTypeField)
      return other();
  }
  return depth == 4 && ignoredDepth == 0 ? other() : true;
}

void HeaderListener::startEntry() {
  if (inMetadata()) {
    (void)markMetadata();
  } else if (header.entries.count(name)) {
    fail("the name " + printable(name) + " occurs twice");
  }
  entry = SafeTensorsEntry();
  offsets.clear();
  fieldsSeen.clear();
  field = None;
}

bool HeaderListener::end() {
  if (listening() && depth == 2 && !inMetadata())
    finishEntry();
  if (ignoredDepth == depth)
    ignoredDepth = 0;
  --depth;
  return true;
}

bool HeaderListener::key(string_t &text) {
  if (!listening())
    return true;
  if (depth == 1) {
    name = text;
    return true;
  }
  fieldName = text;
  if (inMetadata()) {
    if (header.metadata.count(text))
      return fail("the metadata " + printable(text) + " occurs twice");
    return true;
  }
  if (!fieldsSeen.insert(text).second)
    return fail(tensor() + ": " + printable(text) + " occurs twice");
  field = text == "dtype"          ? DTypeField
          : text == "shape"        ? ShapeField
          : text == "data_offsets" ? OffsetsField
                                   : Ignored;
  return true;
}

bool HeaderListener::string(string_t &value) {
  if (!listening())
    return true;
  if (depth == 2 && inMetadata()) {
    header.metadata.emplace(fieldName, value);
    return true;
  }
  if (depth != 2 || field != DTypeField)
    return other();
  std::optional<DType> dtype = parseDType(value);
  if (!dtype)
    return fail(tensor() + ": unknown dtype " + printable(value) +
                " (known: F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, "
                "U32, U64, BOOL)");
  entry.dtype = *dtype;
  return true;
}

bool HeaderListener::integer(bool negative, uint64_t value) {
  if (!listening() || depth != 3 || inMetadata())
    return other();
  if (negative)
    return fail(tensor() + (field == ShapeField
                                ? ": its shape has a negative dimension"
                                : ": its data_offsets are negative"));
  if (field == OffsetsField) {
    if (offsets.size() == 2)
      return fail(tensor() + ": its data_offsets are not two numbers");
    offsets.push_back(value);
    return true;
  }
  if (value > INT64_MAX)
    return fail(tensor() + ": the size of its shape overflows");
  if (entry.shape.size() == maxRank)
    return fail(tensor() + ": its shape has more than 64 dimensions");
  entry.shape.push_back(static_cast<int64_t>(value));
  return true;
}

/// Any value where another one was expected, or where none matters.
bool HeaderListener::other() {
  if (!listening())
    return true;
  if (depth == 0)
    return fail("the header is not a JSON object");
  if (depth == 1)
    return notAnObject();
  if (inMetadata())
    return fail("the metadata " + printable(fieldName) + " is not a string");
  switch (field) {
  case DTypeField:
    return fail(tensor() + ": its dtype is not a string");
  case ShapeField:
    return fail(tensor() + ": its shape is not a list of integers");
  case OffsetsField:
    return fail(tensor() + ": its data_offsets are not a list of integers");
  case None:
  case Ignored:
    break;
  }
  return true;
}

void HeaderListener::finishEntry() {
  for (const char *needed : {"dtype", "shape", "data_offsets"}) {
    if (!fieldsSeen.count(needed)) {
      fail(tensor() + ": its entry has no " + needed);
      return;
    }
  }
  if (offsets.size() != 2) {
    fail(tensor() + ": its data_offsets are not two numbers");
    return;
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.end < entry.begin) {
    fail(tensor() + ": its data_offsets are reversed, [" +
         std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]");
    return;
  }
  std::optional<uint64_t> size = byteSize(entry.dtype, entry.shape);
  if (!size) {
    fail(tensor() + ": the size of its shape overflows");
    return;
  }
  if (*size != entry.end - entry.begin) {
    fail(tensor() + ": " + describe(entry.dtype, entry.shape) + " needs " +
         std::to_string(*size) + " bytes, its data_offsets give " +
         std::to_string(entry.end - entry.begin));
    return;
  }
  header.entries.emplace(name, std::move(entry));
}

Expected<SafeTensorsHeader> parseSafeTensorsHeader(const std::string &text) {
  HeaderListener listener;
  // The parser keeps its own stack on the heap, so depth cannot overflow ours.
  bool parsed = json::sax_parse(text.begin(), text.end(), &listener,
                                nlohmann::detail::input_format_t::json,
                                /*strict=*/true);
  if (!listener.fatal.empty())
    return Error{listener.fatal};
  if (!listener.wrong.empty())
    return Error{listener.wrong};
  if (!parsed)
    return Error{"the header is not valid JSON"};
  // The format says so; it also excludes a byte order mark.
  if (text[0] != '{')
    return Error{"the header does not begin with '{'"};
  return std::move(listener.header);
}

Status checkSafeTensorsLayout(const SafeTensorsHeader &header,
                              uint64_t dataSize) {
  using Item = std::pair<const std::string, SafeTensorsEntry>;
  std::vector<const Item *> items;
  for (const Item &item : header.entries)
    items.push_back(&item);
  // By end as well, so that empty tensors come before the one they touch.
  std::sort(items.begin(), items.end(), [](const Item *a, const Item *b) {
    return std::tie(a->second.begin, a->second.end, a->first) <
           std::tie(b->second.begin, b->second.end, b->first);
  });
  uint64_t covered = 0;
  const Item *previous = nullptr;
  for (const Item *item : items) {
    std::string who = "tensor " + printable(item->first);
    const SafeTensorsEntry &entry = item->second;
    if (entry.end > dataSize)
      return Error{who + " ends at data byte " + std::to_string(entry.end) +
                   ", but the file has only " + std::to_string(dataSize)};
    if (entry.begin < covered)
      return Error{who + " overlaps tensor " + printable(previous->first)};
    if (entry.begin > covered)
      return Error{"hole: data bytes " + std::to_string(covered) + " to " +
                   std::to_string(entry.begin) + ", before " + who +
                   ", belong to no tensor"};
    covered = entry.end;
    previous = item;
  }
  if (covered != dataSize)
    return Error{std::to_string(dataSize - covered) +
                 " trailing bytes belong to no tensor"};
  return Status::success();
}

} // namespace plait::runtime
