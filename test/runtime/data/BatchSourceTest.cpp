#include "runtime/data/PrefetchingLoader.h"
#include "runtime/data/ValidationBatches.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

/// Tokens 0, 1, 2 … so that a token's value is its position.
class BatchSourceTest : public ::testing::Test {
protected:
  TokenStream makeStream(std::vector<uint16_t> tokens) {
    EXPECT_TRUE(writeShard(folder / "s.bin", tokens).isOk());
    return *TokenStream::open(folder / "s.bin", "bytes", 65535);
  }
  TokenStream makeCounting(int count) {
    std::vector<uint16_t> tokens(count);
    std::iota(tokens.begin(), tokens.end(), 0);
    return makeStream(tokens);
  }
  TemporaryFolder folder;
};

static Batch loadBatch(const TokenStream &stream, const LoaderOptions &options, int64_t tokens,
                       DataPosition &position) {
  StatusOr<Batch> batch = makeBatchSource(stream, options)->load(tokens, position);
  EXPECT_TRUE(batch.isOk()) << batch.status().message();
  return batch.isOk() ? *batch : Batch();
}

static LoaderOptions withOrder(SampleOrder order, int64_t sequence, int32_t startToken = -1) {
  LoaderOptions options;
  options.order = order;
  options.sequence = sequence;
  options.startToken = startToken;
  options.seed = 5;
  return options;
}

TEST_F(BatchSourceTest, RandomSamplesAreRunsOfTheStream) {
  TokenStream stream = makeCounting(1000);
  LoaderOptions options = withOrder(SampleOrder::Random, 8);
  DataPosition position;
  std::set<int32_t> starts;
  for (int i = 0; i < 20; ++i) {
    Batch batch = loadBatch(stream, options, 20, position);
    ASSERT_EQ(batch.tokens.size(), 20u);
    ASSERT_EQ(batch.validTargets, 20);
    for (int t = 0; t < 20; ++t) {
      EXPECT_EQ(batch.targets[t], batch.tokens[t] + 1);
      EXPECT_EQ(batch.documentStart[t], t / 8 * 8);
      EXPECT_EQ(batch.tokens[t], batch.tokens[t / 8 * 8] + t % 8);
    }
    starts.insert(batch.tokens[0]);
  }
  EXPECT_EQ(position.samples, 60u);
  EXPECT_GT(starts.size(), 15u);
}

TEST_F(BatchSourceTest, RandomSamplesDependOnSeedAndPositionAlone) {
  TokenStream stream = makeCounting(1000);
  LoaderOptions options = withOrder(SampleOrder::Random, 8);
  DataPosition first, second{6, 0};
  for (int i = 0; i < 2; ++i)
    (void)loadBatch(stream, options, 24, first);
  ASSERT_EQ(first, second);
  EXPECT_EQ(loadBatch(stream, options, 24, first).tokens,
            loadBatch(stream, options, 24, second).tokens);
  options.seed = 6;
  DataPosition other{6, 0}, same{6, 0};
  Batch changed = loadBatch(stream, options, 24, other);
  options.seed = 5;
  EXPECT_NE(changed.tokens, loadBatch(stream, options, 24, same).tokens);
}

TEST_F(BatchSourceTest, RandomSamplesReachBothEndsOfAShortStream) {
  TokenStream stream = makeCounting(5);
  LoaderOptions options = withOrder(SampleOrder::Random, 3);
  DataPosition position;
  std::set<int32_t> tokens, targets;
  for (int i = 0; i < 50; ++i) {
    Batch batch = loadBatch(stream, options, 3, position);
    tokens.insert(batch.tokens.begin(), batch.tokens.end());
    targets.insert(batch.targets.begin(), batch.targets.end());
  }
  EXPECT_EQ(tokens, (std::set<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(targets, (std::set<int32_t>{1, 2, 3, 4}));
}

TEST_F(BatchSourceTest, ContiguousWrapsAround) {
  TokenStream stream = makeCounting(8); // 7 targets
  LoaderOptions options = withOrder(SampleOrder::Contiguous, 0);
  DataPosition position;
  Batch batch = loadBatch(stream, options, 5, position);
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(batch.documentStart, (std::vector<int32_t>(5, 0)));
  batch = loadBatch(stream, options, 5, position);
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{5, 6, 0, 1, 2}));
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{6, 7, 1, 2, 3}));
  EXPECT_EQ(position.tokens, 10u);
}

TEST_F(BatchSourceTest, DocumentsBeginAtTheStartTokenAndAtTheLengthLimit) {
  TokenStream stream = makeStream({7, 9, 1, 2, 9, 9, 3, 4, 5, 6, 8});
  DataPosition position;
  Batch batch = loadBatch(stream, withOrder(SampleOrder::Documents, 0, 9), 10, position);
  EXPECT_EQ(batch.documentStart, (std::vector<int32_t>{0, 1, 1, 1, 4, 5, 5, 5, 5, 5}));
  EXPECT_EQ(batch.targets[3], 9);
  position = {};
  batch = loadBatch(stream, withOrder(SampleOrder::Documents, 3, 9), 10, position);
  EXPECT_EQ(batch.documentStart, (std::vector<int32_t>{0, 1, 1, 1, 4, 5, 5, 5, 8, 8}));
}

TEST_F(BatchSourceTest, RanksShareTheWorkWithoutOverlap) {
  TokenStream stream = makeCounting(1000);
  for (SampleOrder order : {SampleOrder::Contiguous, SampleOrder::Random}) {
    LoaderOptions options = withOrder(order, 8);
    DataPosition alone;
    std::vector<Batch> batches;
    for (int i = 0; i < 6; ++i)
      batches.push_back(loadBatch(stream, options, 16, alone));
    options.world = 3;
    for (int64_t rank = 0; rank < 3; ++rank) {
      options.rank = rank;
      DataPosition position;
      for (int64_t i = 0; i < 2; ++i)
        EXPECT_EQ(loadBatch(stream, options, 16, position).tokens, batches[3 * i + rank].tokens);
      EXPECT_EQ(position, alone);
    }
  }
}

TEST_F(BatchSourceTest, ADamagedTokenIsAFailureOfItsBatch) {
  ASSERT_TRUE(writeShard(folder / "d.bin", std::vector<uint16_t>{1, 2, 3, 400, 5, 6}).isOk());
  TokenStream stream = *TokenStream::open(folder / "d.bin", "bytes", 256);
  auto source = makeBatchSource(stream, withOrder(SampleOrder::Contiguous, 0));
  DataPosition position;
  EXPECT_TRUE(source->load(2, position).isOk());
  Status status = source->load(2, position).status();
  EXPECT_EQ(status.code(), StatusCode::Corrupt);
  EXPECT_NE(status.message().find("d.bin: byte 1030: token 400"), std::string::npos)
      << status.message();
}
