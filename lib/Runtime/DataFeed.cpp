//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inputs of a training step, one batch per step.
//
// This file decides how a tensor's role is told from its shape, and refuses
// what is ambiguous or would drift: the cursor is moved only by a fill that
// succeeded, and rows are chosen once per step for all data sets together.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/DataFeed.h"
#include "plait/Runtime/Shuffle.h"

#include <algorithm>
#include <cstring>

namespace plait::runtime {

std::string formatCursor(const Cursor &cursor) {
  return std::to_string(cursor.epoch) + ":" + std::to_string(cursor.position) +
         ":" + std::to_string(cursor.step);
}

/// Reads decimal digits, at least one, from text[at] on.
static bool parseNumber(const std::string &text, size_t &at, uint64_t &value) {
  size_t start = at;
  for (value = 0; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, text[at] - '0', &value))
      return false;
  return at != start;
}

Expected<Cursor> parseCursor(const std::string &text) {
  Cursor cursor;
  size_t at = 0;
  bool valid = parseNumber(text, at, cursor.epoch) && text[at++] == ':' &&
               parseNumber(text, at, cursor.position) && text[at++] == ':' &&
               parseNumber(text, at, cursor.step) && at == text.size();
  if (!valid)
    return Error{"bad data cursor " + printable(text) +
                 ", expected epoch:position:step"};
  return cursor;
}

/// How a Python user gets the type a step wants.
static std::string conversionTo(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "a.astype(np.float32)";
  case DType::F64:
    return "a.astype(np.float64)";
  case DType::F16:
    return "a.astype(np.float16)";
  case DType::BF16:
    return "t.to(torch.bfloat16)";
  case DType::Bool:
    return "a.astype(np.bool_)";
  case DType::I8:
  case DType::I16:
  case DType::I32:
  case DType::I64:
    return "a.astype(np.int" + std::to_string(8 * elementSize(dtype)) + ")";
  case DType::U8:
  case DType::U16:
  case DType::U32:
  case DType::U64:
    return "a.astype(np.uint" + std::to_string(8 * elementSize(dtype)) + ")";
  }
  return "a.astype(...)";
}

/// The sentence for a tensor that cannot feed its input.
std::string DataFeed::mismatch(const FeedInput &input) {
  const HostTensor &tensor = input.tensor;
  std::string text = "input " + printable(input.name) + ": expected " +
                     describe(input.dtype, input.stepShape);
  if (tensor.dtype != input.dtype)
    return text + ", got " + describe(tensor.dtype, tensor.shape) +
           ": types are not converted silently, use " +
           conversionTo(input.dtype);
  text += input.stepShape.empty() ? " or a vector with one value per step"
                                  : " or the same with more rows";
  return text + ", got " + describe(tensor.dtype, tensor.shape);
}

Expected<DataFeed::Source> DataFeed::classify(FeedInput given) {
  Source source{std::move(given), Kind::Constant, 0, 0};
  const FeedInput &input = source.input;
  const Shape &step = input.stepShape;
  const Shape &shape = input.tensor.shape;
  std::optional<uint64_t> stepBytes = byteSize(input.dtype, step);
  if (!stepBytes)
    return Error{"input " + printable(input.name) + ": the step's type " +
                 describe(input.dtype, step) + " has no static size"};
  source.stepBytes = *stepBytes;
  if (input.tensor.dtype != input.dtype)
    return Error{mismatch(input)};
  if (byteSize(input.dtype, shape) != input.tensor.data.size())
    return Error{"input " + printable(input.name) + ": its tensor " +
                 describe(input.dtype, shape) + " holds " +
                 std::to_string(input.tensor.data.size()) + " bytes"};

  if (shape == step)
    return source;
  if (step.empty() && shape.size() == 1) {
    source.kind = Kind::PerStep;
    return source;
  }
  if (step.empty() || shape.size() != step.size() || shape[0] <= step[0] ||
      !std::equal(step.begin() + 1, step.end(), shape.begin() + 1))
    return Error{mismatch(input)};
  // No rows would never end an epoch; rows of no bytes may be 2^60 in number.
  if (*stepBytes == 0)
    return Error{"input " + printable(input.name) + ": a batch of type " +
                 describe(input.dtype, step) +
                 " is empty, so it cannot be taken from a data set"};
  source.kind = Kind::DataSet;
  source.rowBytes = *stepBytes / static_cast<uint64_t>(step[0]);
  return source;
}

Status DataFeed::add(Source source) {
  const FeedInput &input = source.input;
  for (const Source &other : sources)
    if (other.input.name == input.name)
      return Error{"input " + printable(input.name) + " is given twice"};

  if (source.kind == Kind::PerStep &&
      static_cast<uint64_t>(input.tensor.shape[0]) < options.steps)
    return Error{"input " + printable(input.name) + ": expected at least " +
                 std::to_string(options.steps) + " values, one per step, got " +
                 describe(input.dtype, input.tensor.shape) +
                 " (a constant needs a tensor of rank 0)"};

  if (source.kind == Kind::DataSet) {
    auto given = static_cast<uint64_t>(input.tensor.shape[0]);
    auto taken = static_cast<uint64_t>(input.stepShape[0]);
    for (const Source &other : sources) {
      if (other.kind != Kind::DataSet)
        continue;
      std::string both = "inputs " + printable(other.input.name) + " and " +
                         printable(input.name);
      if (given != numRows)
        return Error{both + " have different numbers of rows, " +
                     std::to_string(numRows) + " and " + std::to_string(given)};
      if (taken != batchRows)
        return Error{both + " take different numbers of rows per step, " +
                     std::to_string(batchRows) + " and " +
                     std::to_string(taken)};
    }
    numRows = given;
    batchRows = taken;
  }
  sources.push_back(std::move(source));
  return Status::success();
}

Expected<DataFeed> DataFeed::create(std::vector<FeedInput> inputs,
                                    FeedOptions options) {
  DataFeed feed;
  feed.options = options;
  for (FeedInput &input : inputs) {
    Expected<Source> source = classify(std::move(input));
    if (!source)
      return Error{source.message()};
    if (Status status = feed.add(std::move(*source)); !status)
      return status;
  }
  return feed;
}

uint64_t DataFeed::bytes() const {
  uint64_t total = 0;
  for (const Source &source : sources)
    total += source.input.tensor.data.size();
  return total;
}

Status DataFeed::setCursor(const Cursor &cursor) {
  if (numRows == 0 && (cursor.epoch != 0 || cursor.position != 0))
    return Error{"the data cursor " + formatCursor(cursor) +
                 " counts rows, but no input is a data set"};
  if (numRows != 0 && cursor.position >= numRows)
    return Error{"the data cursor " + formatCursor(cursor) + " is past the " +
                 std::to_string(numRows) +
                 " rows given: it belongs to other data"};
  at = cursor;
  return Status::success();
}

Status DataFeed::checkStep(uint64_t step,
                           const std::vector<void *> &destinations) {
  if (step != at.step)
    return Error{"asked for step " + std::to_string(step) +
                 ", but the data are at step " + std::to_string(at.step)};
  if (destinations.size() != sources.size())
    return Error{"expected " + std::to_string(sources.size()) +
                 " destinations, got " + std::to_string(destinations.size())};
  for (size_t i = 0; i < sources.size(); ++i) {
    const FeedInput &input = sources[i].input;
    if (!destinations[i] && sources[i].stepBytes != 0)
      return Error{"input " + printable(input.name) + " has no destination"};
    if (sources[i].kind == Kind::PerStep &&
        step >= static_cast<uint64_t>(input.tensor.shape[0]))
      return Error{"input " + printable(input.name) + ": no value for step " +
                   std::to_string(step) + ", its vector over steps has " +
                   std::to_string(input.tensor.shape[0])};
  }
  return Status::success();
}

void DataFeed::startEpochIfExhausted(Cursor &cursor) const {
  uint64_t left = numRows - cursor.position;
  if (left == 0 || (options.lastBatch == LastBatch::Drop && left < batchRows)) {
    ++cursor.epoch;
    cursor.position = 0;
  }
}

const std::vector<uint64_t> &DataFeed::orderOf(uint64_t epoch) {
  if (order.empty() || orderEpoch != epoch) {
    order = epochOrder(options.seed, epoch, numRows);
    orderEpoch = epoch;
  }
  return order;
}

/// Sets `batch`; returns the cursor after it.
Cursor DataFeed::drawBatch() {
  Cursor next = at;
  ++next.step;
  if (numRows == 0)
    return next;
  batch.clear();
  // Before as well as after: a cursor from a run with a smaller batch can
  // leave too few rows for one of ours.
  startEpochIfExhausted(next);
  while (batch.size() < batchRows) {
    if (next.position == numRows) {
      ++next.epoch;
      next.position = 0;
    }
    batch.push_back(options.shuffle ? orderOf(next.epoch)[next.position]
                                    : next.position);
    ++next.position;
  }
  startEpochIfExhausted(next);
  return next;
}

void DataFeed::gather(const Source &source, uint8_t *destination) const {
  const uint8_t *elements = source.input.tensor.data.data();
  for (size_t i = 0; i < batch.size();) {
    // Neighbouring rows in one copy: without shuffling that is all of them.
    size_t run = 1;
    while (i + run < batch.size() && batch[i + run] == batch[i] + run)
      ++run;
    std::memcpy(destination, elements + batch[i] * source.rowBytes,
                run * source.rowBytes);
    destination += run * source.rowBytes;
    i += run;
  }
}

Status DataFeed::fill(uint64_t step, const std::vector<void *> &destinations) {
  if (Status status = checkStep(step, destinations); !status)
    return status;
  Cursor next = drawBatch();
  for (size_t i = 0; i < sources.size(); ++i) {
    const Source &source = sources[i];
    auto *destination = static_cast<uint8_t *>(destinations[i]);
    const uint8_t *elements = source.input.tensor.data.data();
    if (source.kind == Kind::DataSet) {
      gather(source, destination);
      continue;
    }
    if (source.kind == Kind::PerStep)
      elements += step * source.stepBytes;
    if (source.stepBytes != 0)
      std::memcpy(destination, elements, source.stepBytes);
  }
  at = next;
  return Status::success();
}

} // namespace plait::runtime
