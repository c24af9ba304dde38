//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inputs of a training step, one batch per step.
//
// This file decides what a step sees: which tensors are constants, which are
// data sets cut into batches, which hold one value per step, and which rows a
// batch has. Given the same tensors and options, the cursor alone decides the
// next batch, so a resumed run sees the bits that an uninterrupted one sees.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_RUNTIME_DATAFEED_H
#define PLAIT_RUNTIME_DATAFEED_H

#include "plait/Runtime/Tensor.h"

#include <string>
#include <vector>

namespace plait::runtime {

/// Where a run is, before the step numbered `step`.
struct Cursor {
  uint64_t epoch = 0;    ///< passes over the data completed
  uint64_t position = 0; ///< rows of this epoch already used
  uint64_t step = 0;     ///< steps completed, over all epochs
};

inline bool operator==(const Cursor &a, const Cursor &b) {
  return a.epoch == b.epoch && a.position == b.position && a.step == b.step;
}

/// "epoch:position:step" in decimal, for a checkpoint's metadata.
std::string formatCursor(const Cursor &cursor);

/// Reads what formatCursor wrote; anything else is an error.
Expected<Cursor> parseCursor(const std::string &text);

/// What to do with the rows left at an epoch's end when they fill no batch.
enum class LastBatch {
  Drop, ///< skip them; the next epoch begins with a full batch
  Wrap  ///< complete the batch with the first rows of the next epoch, which
        ///< then goes on behind them: each row is used once per epoch
};

struct FeedOptions {
  /// Visit the rows of each epoch in the order epochOrder(seed, epoch, rows),
  /// the same for all data sets, instead of the file's.
  bool shuffle = false;
  uint64_t seed = 0;
  LastBatch lastBatch = LastBatch::Drop;
  /// The step (counted over all epochs and resumes) before which the run ends.
  /// Vectors over steps must be this long. 0 if unknown.
  uint64_t steps = 0;
};

/// An input of the step, and the tensor that feeds it.
struct FeedInput {
  std::string name;
  Shape stepShape; ///< static
  DType dtype;     ///< the step's; the tensor must have the same
  /// One of: a constant, of the step's shape; a data set, of the same shape but
  /// for a larger leading dimension; a vector over steps, if the step takes a
  /// scalar.
  HostTensor tensor;
};

/// Feeds one run. Not for use from several threads at once.
class DataFeed {
public:
  /// Fails, naming the input, what was expected and what was given, on: a
  /// tensor of another dtype (with the conversion to make) or of a shape that
  /// is none of the three above; a vector shorter than options.steps; data sets
  /// with different numbers of rows or batches of different sizes; a name
  /// given twice.
  static Expected<DataFeed> create(std::vector<FeedInput> inputs,
                                   FeedOptions options = {});

  /// Copies what step `step` takes into `destinations`, one per input in the
  /// order given to create(), each as large as the input's step shape, then
  /// moves the cursor on. Fails, with nothing copied and the cursor unmoved, if
  /// `step` is not cursor().step, if a vector over steps has no value for it,
  /// or if a destination is missing.
  Status fill(uint64_t step, const std::vector<void *> &destinations);

  /// Where the next fill() is.
  const Cursor &cursor() const { return at; }

  /// Goes on from a cursor of an earlier run. Fails if its position is not a
  /// row of these data sets.
  Status setCursor(const Cursor &cursor);

  /// Rows of every data set; 0 without data sets.
  uint64_t rows() const { return numRows; }

  /// Rows of a batch; 0 without data sets.
  uint64_t batchSize() const { return batchRows; }

  /// Of all tensors that it holds.
  uint64_t bytes() const;

private:
  enum class Kind { Constant, DataSet, PerStep };
  struct Source {
    FeedInput input;
    Kind kind;
    uint64_t stepBytes; ///< what the step takes
    uint64_t rowBytes;  ///< of a data set: one row
  };

  DataFeed() = default;
  static Expected<Source> classify(FeedInput given);
  static std::string mismatch(const FeedInput &input);
  Status add(Source source);
  Status checkStep(uint64_t step, const std::vector<void *> &destinations);
  Cursor drawBatch();
  void startEpochIfExhausted(Cursor &cursor) const;
  const std::vector<uint64_t> &orderOf(uint64_t epoch);
  void gather(const Source &source, uint8_t *destination) const;

  std::vector<Source> sources;
  FeedOptions options;
  Cursor at;
  uint64_t numRows = 0, batchRows = 0;
  /// The rows of the batch being filled.
  std::vector<uint64_t> batch;
  /// The order of one epoch, kept until another is needed.
  std::vector<uint64_t> order;
  uint64_t orderEpoch = 0;
};

} // namespace plait::runtime

#endif // PLAIT_RUNTIME_DATAFEED_H
