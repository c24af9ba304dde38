//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// safetensors files: the container around the header.
//
// This file decides the order of the checks when reading (size, header, layout,
// and only then memory for tensors) and the one order of bytes when writing.
//
//===----------------------------------------------------------------------===//

#ifndef JSON_NOEXCEPTION
#define JSON_NOEXCEPTION
#endif

#include "plait/Runtime/SafeTensors.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>

namespace plait::runtime {

static constexpr uint64_t prefixSize = 8;

/// The checked header of `source`, and where its data begin.
static Expected<SafeTensorsHeader> readHeaderFrom(const ByteSource &source,
                                                  uint64_t &dataBegin) {
  if (source.size() < prefixSize)
    return Error{"shorter than 8 bytes: not a safetensors file"};
  uint64_t headerSize = 0;
  if (Status status = source.read(0, &headerSize, prefixSize); !status)
    return status;
  uint64_t rest = source.size() - prefixSize;
  if (headerSize > maxSafeTensorsHeader)
    return Error{"the header claims " + std::to_string(headerSize) +
                 " bytes, more than the limit of 100 MB"};
  if (headerSize > rest)
    return Error{"the header claims " + std::to_string(headerSize) +
                 " bytes, more than the file has (" + std::to_string(rest) +
                 ")"};

  std::string text(headerSize, '\0');
  if (Status status = source.read(prefixSize, text.data(), headerSize); !status)
    return status;
  Expected<SafeTensorsHeader> header = parseSafeTensorsHeader(text);
  if (!header)
    return header;
  dataBegin = prefixSize + headerSize;
  if (Status status = checkSafeTensorsLayout(*header, rest - headerSize);
      !status)
    return status;
  return header;
}

static Expected<SafeTensors> readFrom(const ByteSource &source) {
  uint64_t dataBegin = 0;
  Expected<SafeTensorsHeader> header = readHeaderFrom(source, dataBegin);
  if (!header)
    return Error{header.message()};
  SafeTensors result;
  result.metadata = std::move(header->metadata);
  for (auto &[name, entry] : header->entries) {
    Expected<HostTensor> tensor =
        HostTensor::uninitialized(entry.dtype, std::move(entry.shape));
    if (!tensor)
      return Error{"tensor " + printable(name) + ": " + tensor.message()};
    Status status = source.read(dataBegin + entry.begin, tensor->data.data(),
                                tensor->data.size());
    if (status)
      status = checkElements(*tensor);
    if (!status)
      return Error{"tensor " + printable(name) + ": " + status.message()};
    result.tensors.emplace(name, std::move(*tensor));
  }
  return result;
}

Expected<SafeTensors> readSafeTensors(const std::string &path) {
  Expected<InputFile> file = InputFile::open(path);
  if (!file)
    return Error{file.message()};
  Expected<SafeTensors> result = readFrom(*file);
  if (!result)
    return Error{path + ": " + result.message()};
  return result;
}

Expected<SafeTensorsHeader> readSafeTensorsHeader(const std::string &path) {
  Expected<InputFile> file = InputFile::open(path);
  if (!file)
    return Error{file.message()};
  uint64_t dataBegin = 0;
  Expected<SafeTensorsHeader> header = readHeaderFrom(*file, dataBegin);
  if (!header)
    return Error{path + ": " + header.message()};
  return header;
}

Expected<SafeTensors> parseSafeTensors(const void *data, size_t size) {
  return readFrom(MemorySource(data, size));
}

/// Appends `text` as a JSON string. False if it is not UTF-8.
static bool appendJsonString(std::string &out, const std::string &text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string literal = "\"";
  bool ascii = true;
  for (char c : text) {
    ascii &= static_cast<unsigned char>(c) < 0x80;
    if (c == '"' || c == '\\') {
      literal += '\\';
      literal += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      literal += "\\u00";
      literal += digits[c >> 4];
      literal += digits[c & 15];
    } else {
      literal += c;
    }
  }
  literal += '"';
  out += literal;
  // nlohmann::json::dump would abort on bad UTF-8; its lexer reports it (at a
  // cost that ASCII, nearly all there is, need not pay).
  return ascii || nlohmann::json::accept(literal);
}

namespace {
/// A file before it is written: prefix and header, then the tensors in order.
struct Image {
  std::string head;
  std::vector<ByteView> data;
};
} // namespace

static Status appendMetadata(std::string &json, const Metadata &metadata) {
  json += "\"__metadata__\":{";
  const char *separator = "";
  for (const auto &[key, value] : metadata) {
    json += separator;
    separator = ",";
    bool valid = appendJsonString(json, key);
    json += ':';
    if (!valid || !appendJsonString(json, value))
      return Error{"the metadata " + printable(key) + " is not UTF-8"};
  }
  json += '}';
  return Status::success();
}

using Item = std::pair<const std::string, TensorView>;

static Status appendEntry(Image &image, const Item &item, uint64_t &offset) {
  const auto &[name, view] = item;
  if (name == "__metadata__")
    return Error{"no tensor may be named '__metadata__'"};
  std::optional<uint64_t> size = byteSize(view.dtype, view.shape);
  if (!size)
    return Error{"tensor " + printable(name) + ": " +
                 describe(view.dtype, view.shape) + " has no size"};
  if (!appendJsonString(image.head, name))
    return Error{"the name " + printable(name) + " is not UTF-8"};
  image.head +=
      std::string(":{\"dtype\":\"") + dtypeName(view.dtype) + "\",\"shape\":[";
  for (size_t i = 0; i < view.shape.size(); ++i)
    image.head += (i ? "," : "") + std::to_string(view.shape[i]);
  image.head += "],\"data_offsets\":[" + std::to_string(offset) + ",";
  if (__builtin_add_overflow(offset, *size, &offset))
    return Error{"the tensors together are too large"};
  image.head += std::to_string(offset) + "]}";
  image.data.push_back({view.data, *size});
  return Status::success();
}

static Expected<Image>
buildImage(const std::map<std::string, TensorView> &tensors,
           const Metadata &metadata) {
  std::vector<const Item *> items;
  for (const Item &item : tensors)
    items.push_back(&item);
  std::sort(items.begin(), items.end(), [](const Item *a, const Item *b) {
    size_t sizeA = elementSize(a->second.dtype);
    size_t sizeB = elementSize(b->second.dtype);
    return sizeA != sizeB ? sizeA > sizeB : a->first < b->first;
  });
  Image image;
  image.head.assign(prefixSize, '\0');
  image.head += '{';
  if (!metadata.empty())
    if (Status status = appendMetadata(image.head, metadata); !status)
      return status;
  uint64_t offset = 0;
  for (const Item *item : items) {
    if (image.head.back() != '{')
      image.head += ',';
    if (Status status = appendEntry(image, *item, offset); !status)
      return status;
  }
  image.head += '}';
  // Spaces up to a multiple of 8 align the data as the reference writer does.
  image.head.append((8 - image.head.size() % 8) % 8, ' ');
  uint64_t headerSize = image.head.size() - prefixSize;
  if (headerSize > maxSafeTensorsHeader)
    return Error{"the header has " + std::to_string(headerSize) +
                 " bytes, more than the limit of 100 MB"};
  std::memcpy(image.head.data(), &headerSize, prefixSize);
  return image;
}

Status writeSafeTensors(const std::string &path,
                        const std::map<std::string, TensorView> &tensors,
                        const Metadata &metadata) {
  Expected<Image> image = buildImage(tensors, metadata);
  if (!image)
    return Error{path + ": " + image.message()};
  std::vector<ByteView> pieces = {{image->head.data(), image->head.size()}};
  pieces.insert(pieces.end(), image->data.begin(), image->data.end());
  return writeFileAtomically(path, pieces);
}

Status writeSafeTensors(const std::string &path,
                        const std::map<std::string, HostTensor> &tensors,
                        const Metadata &metadata) {
  return writeSafeTensors(path, viewsOf(tensors), metadata);
}

Expected<std::string>
serializeSafeTensors(const std::map<std::string, TensorView> &tensors,
                     const Metadata &metadata) {
  Expected<Image> image = buildImage(tensors, metadata);
  if (!image)
    return Error{image.message()};
  std::string bytes = std::move(image->head);
  for (ByteView piece : image->data)
    bytes.append(static_cast<const char *>(piece.data), piece.size);
  return bytes;
}

std::map<std::string, TensorView>
viewsOf(const std::map<std::string, HostTensor> &tensors) {
  std::map<std::string, TensorView> views;
  for (const auto &[name, tensor] : tensors) {
    assert(byteSize(tensor.dtype, tensor.shape) == tensor.data.size() &&
           "shape and data disagree");
    views[name] = {tensor.dtype, tensor.shape, tensor.data.data()};
  }
  return views;
}

} // namespace plait::runtime
