#include "runtime/data/ValidationBatches.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <numeric>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

class ValidationBatchesTest : public ::testing::Test {
protected:
  /// Tokens 0, 1, 2 … in two shards.
  void SetUp() override {
    std::vector<uint16_t> tokens(20);
    std::iota(tokens.begin(), tokens.end(), 0);
    std::span<const uint16_t> all(tokens);
    ASSERT_TRUE(writeShard(folder / "val_0.bin", all.first(13)).isOk());
    ASSERT_TRUE(writeShard(folder / "val_1.bin", all.subspan(13)).isOk());
  }
  TokenStream stream() { return *TokenStream::open(folder / "val_*.bin", "bytes", 256); }
  Batch loadOrFail(const ValidationBatches &batches, uint64_t index, int64_t tokens) {
    auto batch = batches.load(index, tokens);
    EXPECT_TRUE(batch.isOk() && *batch) << index;
    return batch.isOk() && *batch ? **batch : Batch();
  }
  TemporaryFolder folder;
};

TEST_F(ValidationBatchesTest, CoversEachTargetOnceAndPads) {
  LoaderOptions options;
  options.sequence = 4;
  ValidationBatches batches(stream(), options, 0);
  std::vector<int32_t> seen;
  for (uint64_t index = 0; index < 3; ++index) {
    Batch batch = loadOrFail(batches, index, 8);
    ASSERT_EQ(batch.tokens.size(), 8u);
    int64_t valid = 0;
    for (int t = 0; t < 8; ++t) {
      ASSERT_LE(batch.documentStart[t], t);
      if (batch.targets[t] < 0)
        continue;
      seen.push_back(batch.targets[t]);
      ++valid;
    }
    EXPECT_EQ(valid, batch.validTargets);
  }
  EXPECT_FALSE(*batches.load(3, 8));
  std::vector<int32_t> expected(19);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(seen, expected);
  // 3 targets are left for the last; the padding is a document of its own.
  EXPECT_EQ(loadOrFail(batches, 2, 8).documentStart,
            (std::vector<int32_t>{0, 0, 0, 3, 3, 3, 3, 7}));
}

TEST_F(ValidationBatchesTest, TakesNoMoreThanAsked) {
  ValidationBatches batches(stream(), {}, 8);
  EXPECT_EQ(loadOrFail(batches, 0, 8).validTargets, 8);
  EXPECT_FALSE(*batches.load(1, 8));
}

TEST_F(ValidationBatchesTest, RanksShareItAndRunInStep) {
  LoaderOptions options;
  options.order = SampleOrder::Aligned; // Validation is contiguous; documents begin at the token.
  options.startToken = 6;
  options.world = 3;
  std::vector<int32_t> seen(20, 0);
  for (int64_t rank = 0; rank < 3; ++rank) {
    options.rank = rank;
    ValidationBatches batches(stream(), options, 17); // Sequences of 4, 4, 4 | 4, 1, 0 targets.
    for (uint64_t index = 0; index < 2; ++index) {
      Batch batch = loadOrFail(batches, index, 4);
      for (int t = 0; t < 4; ++t)
        if (batch.targets[t] >= 0)
          seen[batch.targets[t]] += 1;
      if (rank == 1 && index == 0)
        EXPECT_EQ(batch.documentStart, (std::vector<int32_t>{0, 0, 2, 2}));
      if (index == 1)
        EXPECT_EQ(batch.validTargets, rank == 0 ? 4 : rank == 1 ? 1 : 0);
    }
    EXPECT_FALSE(*batches.load(2, 4));
  }
  for (int target = 0; target < 20; ++target)
    EXPECT_EQ(seen[target], target >= 1 && target <= 17) << target;
}
