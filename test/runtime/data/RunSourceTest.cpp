// The rules of the records' loaders one by one, by hand; Inputs/check_batches.py has them at
// random.
#include "runtime/data/RunSource.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

namespace {
constexpr uint16_t S = 50256;

class RunSourceTest : public ::testing::Test {
protected:
  void writeShards(const std::vector<std::vector<uint16_t>> &shards) {
    for (size_t i = 0; i < shards.size(); ++i)
      ASSERT_TRUE(writeShard(folder / concat("t_", i, ".bin"), shards[i]).isOk());
  }
  /// Of the record's vocabulary, on all shards.
  std::unique_ptr<BatchSource> open(SampleOrder order, int64_t ranks, int64_t maxTokens = 2048) {
    LoaderOptions options;
    options.order = order;
    options.startToken = S;
    options.ranks = ranks;
    options.maxTokens = maxTokens;
    return makeRunSource(*TokenStream::open(folder / "t_*.bin", "gpt2", 50257), options);
  }
  TemporaryFolder folder;
  DataPosition position;
};
} // namespace

TEST_F(RunSourceTest, WholeDocumentsInOrderAndTheLastOneIsCutToFit) {
  writeShards({{9, 9, S, 1, 2, S, 3, S, 4, 5, 6, 7, 8, S, 10, S}}); // 9 9: of an earlier document.
  auto source = open(SampleOrder::Aligned, 1);
  auto batch = source->load(6, position);
  ASSERT_TRUE(batch.isOk()) << batch.status().message();
  EXPECT_EQ(batch->tokens, (std::vector<int32_t>{S, 1, 2, S, 3, S}));
  EXPECT_EQ(batch->targets, (std::vector<int32_t>{1, 2, S, 3, S, 4}));
  EXPECT_EQ(batch->documentStart, (std::vector<int32_t>{0, 0, 0, 3, 3, 5}));
  EXPECT_EQ(position.document, 3u); // The rest of the cut document is not seen.
  batch = source->load(2, position);
  ASSERT_TRUE(batch.isOk());
  EXPECT_EQ(batch->tokens, (std::vector<int32_t>{S, 10}));
  EXPECT_EQ(batch->targets, (std::vector<int32_t>{10, S}));
  EXPECT_EQ(batch->documentStart, (std::vector<int32_t>{0, 0})); // The last S is a target only.
}

TEST_F(RunSourceTest, LongDocumentsAreCutAndTheirEndIsFollowedByTheNext) {
  writeShards({{S, 1, 2, 3, 4, S, 5, 6, S, 7, 8, 9}});
  auto batch = open(SampleOrder::Aligned, 1, 3)->load(7, position);
  ASSERT_TRUE(batch.isOk());
  EXPECT_EQ(batch->tokens, (std::vector<int32_t>{S, 1, 2, S, 5, 6, S}));
  EXPECT_EQ(batch->targets, (std::vector<int32_t>{1, 2, S, 5, 6, S, 7}));
}

TEST_F(RunSourceTest, AGroupThatDoesNotFitComesFromTheNextShard) {
  // The first shard has one run of 3 + 1 tokens and no second one; a group of two skips it whole.
  writeShards({{S, 1, 2, 3, S, 4}, {S, 5, 6, 7, S, 8, S, 9, S, 1, 2, 3}});
  auto batch = open(SampleOrder::Aligned, 2)->load(3, position);
  ASSERT_TRUE(batch.isOk());
  EXPECT_EQ(batch->tokens, (std::vector<int32_t>{S, 5, 6}));
  EXPECT_EQ(position, (DataPosition{0, 0, 1, 1, 1}));
  DataPosition alone;
  EXPECT_EQ(open(SampleOrder::Aligned, 1)->load(3, alone)->tokens, (std::vector<int32_t>{S, 1, 2}));
}

TEST_F(RunSourceTest, AfterTheLastShardComesTheFirst) {
  writeShards({{S, 1, 2, 3}, {}, {7, S, 4, 5, 6}});
  auto source = open(SampleOrder::Aligned, 1);
  for (int expected : {1, 4, 1, 4})
    EXPECT_EQ(source->load(3, position)->tokens[1], expected);
  EXPECT_EQ(position.shard, 3u);
}

TEST_F(RunSourceTest, NoShardHasAGroup) {
  writeShards({{S, 1, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}});
  auto source = open(SampleOrder::Aligned, 2);
  Status status = source->load(3, position).status();
  EXPECT_EQ(exitCode(status.code()), 4);
  EXPECT_NE(status.message().find("has 2 consecutive sequences of 3 tokens in documents"),
            std::string::npos)
      << status.message();
}

TEST_F(RunSourceTest, TheMediumRecordLeavesAShardWithOneTokenToSpare) {
  // 2·2 + 1 tokens are what a group of two needs; the record asks for one more.
  writeShards({{1, 2, 3, 4, 5}, {S, 6, 7, S, 8, 9, 10}});
  auto source = open(SampleOrder::Documents, 2);
  auto first = source->load(2, position), second = source->load(2, position);
  EXPECT_EQ(first->tokens, (std::vector<int32_t>{S, 6}));
  EXPECT_EQ(first->targets, (std::vector<int32_t>{6, 7}));
  EXPECT_EQ(second->tokens, (std::vector<int32_t>{7, S}));
  EXPECT_EQ(second->targets, (std::vector<int32_t>{S, 8}));
  EXPECT_EQ(second->documentStart, (std::vector<int32_t>{0, 1}));
}

TEST_F(RunSourceTest, DamageIsFoundWhereItIs) {
  writeShards({{S, 1, 2, 3}, {S, 4, 60000, 6}});
  auto source = open(SampleOrder::Aligned, 1);
  EXPECT_TRUE(source->load(3, position).isOk());
  source->prepare(position); // What is wrong is left to the batch that needs it.
  Status status = source->load(3, position).status();
  EXPECT_EQ(exitCode(status.code()), 4);
  EXPECT_NE(status.message().find("t_1.bin: byte 1028: token 60000"), std::string::npos)
      << status.message();
  std::ofstream(folder / "t_1.bin", std::ios::binary | std::ios::app) << "x";
  EXPECT_NE(TokenStream::open(folder / "t_*.bin", "gpt2", 50257)
                .status()
                .message()
                .find("t_1.bin: byte 1032"),
            std::string::npos);
}
