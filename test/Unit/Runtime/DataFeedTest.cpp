//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the data feed: what each step sees, what is refused, and that a
// resumed run sees the same.
//
//===----------------------------------------------------------------------===//

#include "plait/Runtime/DataFeed.h"
#include "TestUtils.h"
#include "plait/Runtime/Shuffle.h"

#include <algorithm>
#include <numeric>

using namespace plait::runtime;

namespace {

using Values = std::vector<int32_t>;

/// Row i of a data set holds 10 * i and 10 * i + 1.
FeedInput rowsOf2(const std::string &name, int64_t rows, int64_t batch) {
  Values values;
  for (int32_t i = 0; i < rows; ++i) {
    values.push_back(10 * i);
    values.push_back(10 * i + 1);
  }
  return {name,
          {batch, 2},
          DType::I32,
          makeTensor<int32_t>(DType::I32, {rows, 2}, values)};
}

/// Row i of a data set of labels holds i.
FeedInput labels(const std::string &name, int64_t rows, int64_t batch) {
  Values values(rows);
  std::iota(values.begin(), values.end(), 0);
  return {name,
          {batch},
          DType::I32,
          makeTensor<int32_t>(DType::I32, {rows}, values)};
}

FeedInput input(const std::string &name, Shape stepShape, DType dtype,
                DType givenDtype, Shape givenShape) {
  return {name, std::move(stepShape), dtype,
          std::move(*HostTensor::zeros(givenDtype, std::move(givenShape)))};
}

template <typename... Inputs>
Expected<DataFeed> makeFeed(FeedOptions options, Inputs &&...inputs) {
  std::vector<FeedInput> list;
  (list.push_back(std::move(inputs)), ...);
  return DataFeed::create(std::move(list), options);
}

FeedOptions shuffled(uint64_t seed, LastBatch lastBatch = LastBatch::Drop) {
  FeedOptions options;
  options.shuffle = true;
  options.seed = seed;
  options.lastBatch = lastBatch;
  return options;
}

FeedOptions wrapped() {
  FeedOptions options;
  options.lastBatch = LastBatch::Wrap;
  return options;
}

/// The next batch of a feed whose only input is labels.
Values nextLabels(DataFeed &feed) {
  Values batch(feed.batchSize(), -1);
  Status status = feed.fill(feed.cursor().step, {batch.data()});
  EXPECT_TRUE(status) << status.message();
  return batch;
}

TEST(DataFeed, ConstantIsTheSameEachStep) {
  Expected<DataFeed> feed = makeFeed({}, labels("x", 3, 3));
  ASSERT_TRUE(feed) << feed.message();
  EXPECT_EQ(feed->rows(), 0u);
  for (uint64_t step = 0; step < 3; ++step) {
    Values out(3);
    ASSERT_TRUE(feed->fill(step, {out.data()}));
    EXPECT_EQ(out, (Values{0, 1, 2}));
  }
  EXPECT_EQ(feed->cursor(), (Cursor{0, 0, 3}));
}

TEST(DataFeed, DataSetInTheFilesOrder) {
  Expected<DataFeed> feed = makeFeed({}, rowsOf2("x", 4, 2));
  ASSERT_TRUE(feed) << feed.message();
  EXPECT_EQ(feed->rows(), 4u);
  EXPECT_EQ(feed->batchSize(), 2u);
  Values out(4);
  ASSERT_TRUE(feed->fill(0, {out.data()}));
  EXPECT_EQ(out, (Values{0, 1, 10, 11}));
  EXPECT_EQ(feed->cursor(), (Cursor{0, 2, 1}));
  ASSERT_TRUE(feed->fill(1, {out.data()}));
  EXPECT_EQ(out, (Values{20, 21, 30, 31}));
  EXPECT_EQ(feed->cursor(), (Cursor{1, 0, 2}));
  ASSERT_TRUE(feed->fill(2, {out.data()}));
  EXPECT_EQ(out, (Values{0, 1, 10, 11}));
}

TEST(DataFeed, ScalarPerStepAndConstantScalar) {
  Values rates = {5, 6, 7};
  FeedInput perStep{
      "lr", {}, DType::I32, makeTensor<int32_t>(DType::I32, {3}, rates)};
  FeedInput constant{
      "wd", {}, DType::I32, makeTensor<int32_t>(DType::I32, {}, Values{9})};
  FeedOptions options;
  options.steps = 3;
  Expected<DataFeed> feed = makeFeed(options, perStep, constant);
  ASSERT_TRUE(feed) << feed.message();
  for (uint64_t step = 0; step < 3; ++step) {
    int32_t rate = 0, decay = 0;
    ASSERT_TRUE(feed->fill(step, {&rate, &decay}));
    EXPECT_EQ(rate, rates[step]);
    EXPECT_EQ(decay, 9);
  }
}

TEST(DataFeed, DropLastSkipsTheRest) {
  Expected<DataFeed> feed = makeFeed({}, labels("y", 5, 2));
  ASSERT_TRUE(feed);
  EXPECT_EQ(nextLabels(*feed), (Values{0, 1}));
  EXPECT_EQ(nextLabels(*feed), (Values{2, 3}));
  EXPECT_EQ(feed->cursor(), (Cursor{1, 0, 2}));
  EXPECT_EQ(nextLabels(*feed), (Values{0, 1}));
}

TEST(DataFeed, WrapGoesOnIntoTheNextEpoch) {
  Expected<DataFeed> feed = makeFeed(wrapped(), labels("y", 5, 2));
  ASSERT_TRUE(feed);
  nextLabels(*feed);
  nextLabels(*feed);
  EXPECT_EQ(feed->cursor(), (Cursor{0, 4, 2}));
  EXPECT_EQ(nextLabels(*feed), (Values{4, 0}));
  EXPECT_EQ(feed->cursor(), (Cursor{1, 1, 3}));
  EXPECT_EQ(nextLabels(*feed), (Values{1, 2}));
  EXPECT_EQ(nextLabels(*feed), (Values{3, 4}));
  EXPECT_EQ(feed->cursor(), (Cursor{2, 0, 5}));
}

TEST(DataFeed, WrapUsesEachRowOncePerEpoch) {
  Expected<DataFeed> feed =
      makeFeed(shuffled(3, LastBatch::Wrap), labels("y", 7, 3));
  ASSERT_TRUE(feed);
  Values stream;
  for (int i = 0; i < 7; ++i)
    for (int32_t row : nextLabels(*feed))
      stream.push_back(row);
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<uint64_t> order = epochOrder(3, epoch, 7);
    EXPECT_TRUE(
        std::equal(order.begin(), order.end(), stream.begin() + 7 * epoch));
  }
}

TEST(DataFeed, ShuffleFollowsEpochOrder) {
  Expected<DataFeed> feed = makeFeed(shuffled(0), labels("y", 10, 5));
  ASSERT_TRUE(feed);
  EXPECT_EQ(nextLabels(*feed), (Values{6, 3, 2, 9, 8}));
  EXPECT_EQ(nextLabels(*feed), (Values{1, 4, 7, 0, 5}));
  EXPECT_EQ(nextLabels(*feed), (Values{2, 1, 8, 4, 9}));
}

TEST(DataFeed, ShuffleKeepsRowsOfAllDataSetsTogether) {
  Expected<DataFeed> feed =
      makeFeed(shuffled(11), rowsOf2("x", 9, 4), labels("y", 9, 4));
  ASSERT_TRUE(feed);
  for (uint64_t step = 0; step < 6; ++step) {
    Values x(8), y(4);
    ASSERT_TRUE(feed->fill(step, {x.data(), y.data()}));
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(x[2 * i], 10 * y[i]);
      EXPECT_EQ(x[2 * i + 1], 10 * y[i] + 1);
    }
  }
}

TEST(DataFeed, FillWritesNoByteMore) {
  Expected<DataFeed> feed = makeFeed(shuffled(1), rowsOf2("x", 5, 2));
  ASSERT_TRUE(feed);
  Values out(5, -7);
  ASSERT_TRUE(feed->fill(0, {out.data()}));
  EXPECT_EQ(out[4], -7);
}

TEST(DataFeed, EmptyConstantNeedsNoDestination) {
  Expected<DataFeed> feed =
      makeFeed({}, input("x", {0, 3}, DType::F32, DType::F32, {0, 3}));
  ASSERT_TRUE(feed) << feed.message();
  EXPECT_TRUE(feed->fill(0, {nullptr}));
}

TEST(DataFeed, ResumeFromAnyStepIsBitExact) {
  for (FeedOptions options :
       {FeedOptions(), wrapped(), shuffled(8), shuffled(8, LastBatch::Wrap)}) {
    Expected<DataFeed> whole = makeFeed(options, labels("y", 11, 4));
    ASSERT_TRUE(whole);
    std::vector<Values> batches;
    std::vector<Cursor> cursors;
    for (int step = 0; step < 12; ++step) {
      cursors.push_back(whole->cursor());
      batches.push_back(nextLabels(*whole));
    }
    for (int start = 0; start < 12; ++start) {
      Expected<DataFeed> resumed = makeFeed(options, labels("y", 11, 4));
      ASSERT_TRUE(resumed);
      Expected<Cursor> saved = parseCursor(formatCursor(cursors[start]));
      ASSERT_TRUE(saved);
      ASSERT_TRUE(resumed->setCursor(*saved));
      for (int step = start; step < 12; ++step)
        EXPECT_EQ(nextLabels(*resumed), batches[step]);
      EXPECT_EQ(resumed->cursor(), whole->cursor());
    }
  }
}

TEST(DataFeed, CursorCanGoBack) {
  Expected<DataFeed> feed = makeFeed(shuffled(2), labels("y", 6, 3));
  ASSERT_TRUE(feed);
  Values first = nextLabels(*feed);
  for (int i = 0; i < 5; ++i)
    nextLabels(*feed);
  ASSERT_TRUE(feed->setCursor({}));
  EXPECT_EQ(nextLabels(*feed), first);
}

TEST(DataFeed, CursorOfASmallerBatchStartsAnEpochWhenTooLittleIsLeft) {
  Expected<DataFeed> feed = makeFeed({}, labels("y", 6, 4));
  ASSERT_TRUE(feed);
  ASSERT_TRUE(feed->setCursor({2, 4, 9}));
  EXPECT_EQ(nextLabels(*feed), (Values{0, 1, 2, 3}));
  EXPECT_EQ(feed->cursor(), (Cursor{4, 0, 10}));
}

TEST(DataFeedRefuse, CursorPastTheRows) {
  Expected<DataFeed> feed = makeFeed({}, labels("y", 6, 3));
  ASSERT_TRUE(feed);
  expectError(feed->setCursor({0, 6, 2}),
              "the data cursor 0:6:2 is past the 6 rows given: it belongs to "
              "other data");
  EXPECT_EQ(feed->cursor(), Cursor());
}

TEST(DataFeedRefuse, CursorWithRowsButNoDataSet) {
  Expected<DataFeed> feed = makeFeed({}, labels("y", 3, 3));
  ASSERT_TRUE(feed);
  EXPECT_TRUE(feed->setCursor({0, 0, 5}));
  expectError(feed->setCursor({1, 0, 5}),
              "the data cursor 1:0:5 counts rows, but no input is a data set");
}

TEST(DataFeedRefuse, Int64ForInt32) {
  expectError(makeFeed({}, input("y", {32}, DType::I32, DType::I64, {128})),
              "input 'y': expected I32[32], got I64[128]: types are not "
              "converted silently, use a.astype(np.int32)");
}

TEST(DataFeedRefuse, DoubleForFloat) {
  expectError(
      makeFeed({}, input("x", {8, 2}, DType::F32, DType::F64, {8, 2})),
      "input 'x': expected F32[8, 2], got F64[8, 2]: types are not converted "
      "silently, use a.astype(np.float32)");
}

TEST(DataFeedRefuse, OtherTypesNameTheirConversion) {
  const std::pair<DType, const char *> cases[] = {
      {DType::F64, "a.astype(np.float64)"},
      {DType::F16, "a.astype(np.float16)"},
      {DType::BF16, "t.to(torch.bfloat16)"},
      {DType::I8, "a.astype(np.int8)"},
      {DType::I16, "a.astype(np.int16)"},
      {DType::I64, "a.astype(np.int64)"},
      {DType::U8, "a.astype(np.uint8)"},
      {DType::U16, "a.astype(np.uint16)"},
      {DType::U32, "a.astype(np.uint32)"},
      {DType::U64, "a.astype(np.uint64)"},
      {DType::Bool, "a.astype(np.bool_)"}};
  for (auto [dtype, conversion] : cases)
    expectError(makeFeed({}, input("x", {1}, dtype, DType::F32, {1})),
                "input 'x': expected " + describe(dtype, {1}) +
                    ", got F32[1]: types are not converted silently, use " +
                    conversion);
}

TEST(DataFeedRefuse, WrongShape) {
  const std::string message =
      "input 'x': expected F32[8, 2] or the same with more rows, got ";
  for (Shape shape : {Shape{7, 2}, Shape{16, 3}, Shape{16}, Shape{16, 2, 1},
                      Shape{}, Shape{8, 1}})
    expectError(makeFeed({}, input("x", {8, 2}, DType::F32, DType::F32, shape)),
                message + describe(DType::F32, shape));
}

TEST(DataFeedRefuse, MatrixForAScalar) {
  expectError(makeFeed({}, input("lr", {}, DType::F32, DType::F32, {3, 1})),
              "input 'lr': expected F32[] or a vector with one value per step, "
              "got F32[3, 1]");
}

TEST(DataFeedRefuse, DynamicStepShape) {
  expectError(makeFeed({}, input("x", {-1, 2}, DType::F32, DType::F32, {8, 2})),
              "input 'x': the step's type F32[-1, 2] has no static size");
}

TEST(DataFeedRefuse, TensorWhoseBytesDisagreeWithItsShape) {
  FeedInput bad = input("x", {4}, DType::F32, DType::F32, {4});
  bad.tensor.shape = {1000};
  expectError(makeFeed({}, bad), "input 'x': its tensor F32[1000] holds 16 "
                                 "bytes");
}

TEST(DataFeedRefuse, EmptyBatchOfADataSet) {
  expectError(makeFeed({}, input("x", {0, 2}, DType::F32, DType::F32, {4, 2})),
              "input 'x': a batch of type F32[0, 2] is empty, so it cannot be "
              "taken from a data set");
  expectError(makeFeed({}, input("x", {2, 0}, DType::F32, DType::F32,
                                 {int64_t(1) << 60, 0})),
              "input 'x': a batch of type F32[2, 0] is empty, so it cannot be "
              "taken from a data set");
}

TEST(DataFeedRefuse, DifferentNumbersOfRows) {
  expectError(makeFeed({}, rowsOf2("x", 8, 4), labels("y", 9, 4)),
              "inputs 'x' and 'y' have different numbers of rows, 8 and 9");
}

TEST(DataFeedRefuse, DifferentBatches) {
  expectError(makeFeed({}, rowsOf2("x", 8, 4), labels("y", 8, 2)),
              "inputs 'x' and 'y' take different numbers of rows per step, 4 "
              "and 2");
}

TEST(DataFeedRefuse, NameTwice) {
  expectError(makeFeed({}, labels("y", 8, 2), labels("y", 8, 2)),
              "input 'y' is given twice");
}

TEST(DataFeedRefuse, VectorShorterThanTheRun) {
  FeedOptions options;
  options.steps = 5;
  expectError(
      makeFeed(options, input("lr", {}, DType::F32, DType::F32, {4})),
      "input 'lr': expected at least 5 values, one per step, got F32[4] (a "
      "constant needs a tensor of rank 0)");
  EXPECT_TRUE(makeFeed(options, input("lr", {}, DType::F32, DType::F32, {5})));
}

TEST(DataFeedRefuse, StepPastTheVector) {
  Expected<DataFeed> feed = makeFeed(
      {}, labels("y", 6, 2), input("lr", {}, DType::F32, DType::F32, {1}));
  ASSERT_TRUE(feed);
  Values y(2);
  float rate;
  ASSERT_TRUE(feed->fill(0, {y.data(), &rate}));
  Cursor before = feed->cursor();
  y = {-1, -1};
  expectError(feed->fill(1, {y.data(), &rate}),
              "input 'lr': no value for step 1, its vector over steps has 1");
  // Nothing was copied and nothing moved.
  EXPECT_EQ(y, (Values{-1, -1}));
  EXPECT_EQ(feed->cursor(), before);
}

TEST(DataFeedRefuse, StepOutOfTurn) {
  Expected<DataFeed> feed = makeFeed({}, labels("y", 6, 2));
  ASSERT_TRUE(feed);
  Values y(2);
  expectError(feed->fill(1, {y.data()}),
              "asked for step 1, but the data are at step 0");
}

TEST(DataFeedRefuse, WrongNumberOfDestinations) {
  Expected<DataFeed> feed = makeFeed({}, labels("y", 6, 2));
  ASSERT_TRUE(feed);
  expectError(feed->fill(0, {}), "expected 1 destinations, got 0");
}

TEST(DataFeedRefuse, MissingDestination) {
  Expected<DataFeed> feed = makeFeed({}, labels("y", 6, 2));
  ASSERT_TRUE(feed);
  expectError(feed->fill(0, {nullptr}), "input 'y' has no destination");
}

} // namespace
