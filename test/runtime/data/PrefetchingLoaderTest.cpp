#include "runtime/data/PrefetchingLoader.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

namespace {
/// Says what it has been asked to do; the tokens are the batch's number.
class RecordingSource final : public BatchSource {
public:
  StatusOr<Batch> load(int64_t tokens, DataPosition &position) override {
    uint64_t number = position.samples;
    if (number == failAt)
      return corruptError("batch ", number, " is damaged");
    position.samples += 1;
    Batch batch;
    batch.tokens.assign(static_cast<size_t>(tokens), static_cast<int32_t>(number));
    ++loaded;
    return batch;
  }
  void prepare(const DataPosition &) override { ++prepared; }

  std::atomic<uint64_t> failAt = ~uint64_t(0);
  std::atomic<int> loaded = 0, prepared = 0;
};

/// Waits until the counter has the value; false after ten seconds. Nothing else is done meanwhile,
/// as by a trainer whose step takes long.
bool reaches(const std::atomic<int> &counter, int value) {
  for (int i = 0; i < 10000 && counter < value; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return counter >= value;
}
} // namespace

TEST(PrefetchingLoaderTest, TwoBatchesAreReadyWhileAStepRuns) {
  auto owned = std::make_unique<RecordingSource>();
  RecordingSource &source = *owned;
  PrefetchingLoader loader(std::move(owned), {}, [](uint64_t) { return 4; });
  for (int step = 0; step < 5; ++step) {
    // The step's batches and one more come without anybody asking for them, and then the thread
    // prepares what is further off.
    EXPECT_TRUE(reaches(source.loaded, step + 2)) << step;
    EXPECT_TRUE(reaches(source.prepared, step + 1)) << step;
    EXPECT_EQ(source.loaded, step + 2);
    auto batch = loader.next();
    ASSERT_TRUE(batch.isOk());
    EXPECT_EQ(batch->tokens, std::vector<int32_t>(4, step));
    EXPECT_EQ(loader.position().samples, static_cast<uint64_t>(step + 1));
  }
}

TEST(PrefetchingLoaderTest, AStagesFirstBatchIsPrefetchedInItsSize) {
  auto owned = std::make_unique<RecordingSource>();
  RecordingSource &source = *owned;
  PrefetchingLoader loader(std::move(owned), {}, [](uint64_t batch) { return batch < 2 ? 4 : 9; });
  for (int step = 0; step < 4; ++step) {
    EXPECT_TRUE(reaches(source.loaded, step + 2));
    EXPECT_EQ(loader.next()->tokens, std::vector<int32_t>(step < 2 ? 4 : 9, step));
  }
  EXPECT_TRUE(reaches(source.loaded, 6));
  EXPECT_EQ(source.loaded, 6); // Each batch was loaded once.
}

TEST(PrefetchingLoaderTest, AFailureComesWhenItsBatchIsAskedFor) {
  auto owned = std::make_unique<RecordingSource>();
  owned->failAt = 2;
  PrefetchingLoader loader(std::move(owned), {}, [](uint64_t) { return 1; });
  EXPECT_TRUE(loader.next().isOk());
  EXPECT_TRUE(loader.next().isOk());
  for (int i = 0; i < 2; ++i) {
    Status status = loader.next().status();
    EXPECT_EQ(status.code(), StatusCode::Corrupt);
    EXPECT_EQ(status.message(), "batch 2 is damaged");
  }
  EXPECT_EQ(loader.position().samples, 2u);
}

// Sources are slow by turns (a new shard); what comes out does not depend on it.
TEST(PrefetchingLoaderTest, ChangesNothing) {
  TemporaryFolder folder;
  std::vector<uint16_t> tokens(1000);
  std::iota(tokens.begin(), tokens.end(), 0);
  for (int i = 0; i < 1000; i += 7)
    tokens[i] = 2000;
  ASSERT_TRUE(writeShard(folder / "a.bin", tokens).isOk());
  ASSERT_TRUE(writeShard(folder / "b.bin", std::span(tokens).first(333)).isOk());
  TokenStream stream = *TokenStream::open(folder / "*.bin", "bytes", 2001);
  LoaderOptions options;
  options.startToken = 2000;
  for (SampleOrder order : {SampleOrder::Random, SampleOrder::Contiguous, SampleOrder::Aligned}) {
    options.order = order;
    options.sequence = order == SampleOrder::Random ? 8 : 0;
    options.ranks = order == SampleOrder::Aligned ? 2 : 0;
    auto plan = [](uint64_t batch) { return batch % 50 < 25 ? 16 : 40; };
    auto source = makeBatchSource(stream, options);
    DataPosition expected;
    if (order == SampleOrder::Random)
      expected.samples = 3;
    PrefetchingLoader loader(makeBatchSource(stream, options), expected, plan);
    for (uint64_t i = 0; i < 200; ++i) {
      StatusOr<Batch> batch = loader.next();
      ASSERT_TRUE(batch.isOk());
      EXPECT_EQ(batch->tokens, source->load(plan(i), expected)->tokens) << i;
      EXPECT_EQ(loader.position(), expected) << i;
    }
  }
}
