#include "runtime/data/PackText.h"
#include "runtime/data/TokenStream.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

static std::string readAll(const std::string &paths) {
  auto stream = TokenStream::open(paths, "bytes", 256);
  EXPECT_TRUE(stream.isOk()) << stream.status().message();
  std::vector<int32_t> tokens(stream->size());
  EXPECT_TRUE(stream->read(0, tokens).isOk());
  return std::string(tokens.begin(), tokens.end());
}

class PackTextTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::ofstream(folder / "a.txt") << "one--two--";
    std::ofstream(folder / "b.txt") << "three";
    options.inputs = {folder / "*.txt"};
    options.output = folder / "train.bin";
  }
  TemporaryFolder folder;
  PackOptions options;
};

TEST_F(PackTextTest, DocumentsGetTheirStartToken) {
  options.startToken = '#';
  options.separator = "--";
  auto result = packText(options);
  ASSERT_TRUE(result.isOk()) << result.status().message();
  EXPECT_EQ(result->documents, 3u);
  EXPECT_EQ(readAll(options.output), "#one#two#three");
}

TEST_F(PackTextTest, Gpt2DocumentsBeginWithItsStartToken) {
  // A vocabulary of bytes alone: token = byte, and 256 begins a document.
  std::ofstream ranks(folder / "bytes.tiktoken");
  for (int byte = 0; byte < 256; ++byte) {
    static const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    ranks << digits[byte >> 2] << digits[(byte & 3) << 4] << "== " << byte << "\n";
  }
  ranks.close();
  options.tokenizer = "gpt2";
  EXPECT_EQ(packText(options).status().code(), StatusCode::Usage); // Where are its files?
  options.tokenizerFiles = folder / "bytes.tiktoken";
  auto result = packText(options);
  ASSERT_TRUE(result.isOk()) << result.status().message();
  auto stream = TokenStream::open(options.output, "gpt2", 257);
  ASSERT_TRUE(stream.isOk()) << stream.status().message();
  std::vector<int32_t> tokens(stream->size());
  ASSERT_TRUE(stream->read(0, tokens).isOk());
  std::vector<int32_t> expected = {256};
  for (char c : std::string("one--two--"))
    expected.push_back(c);
  expected.push_back(256);
  for (char c : std::string("three"))
    expected.push_back(c);
  EXPECT_EQ(tokens, expected);
}

TEST_F(PackTextTest, HoldsOutTheEnd) {
  options.validationOutput = folder / "validation.bin";
  options.validationFraction = 0.2;
  auto result = packText(options);
  ASSERT_TRUE(result.isOk()) << result.status().message();
  EXPECT_EQ(readAll(options.output), "one--two--th");
  EXPECT_EQ(readAll(options.validationOutput), "ree");
}

TEST_F(PackTextTest, SplitsIntoSeveralShards) {
  options.shardTokens = 6;
  auto result = packText(options);
  ASSERT_TRUE(result.isOk()) << result.status().message();
  EXPECT_EQ(result->files.size(), 3u);
  EXPECT_EQ(readAll(folder / "train_*.bin"), "one--two--three");
}

TEST_F(PackTextTest, WrongOptionsAreUsageAndMissingTextIsInput) {
  PackOptions wrong = options;
  wrong.output = folder / "train.txt";
  EXPECT_EQ(packText(wrong).status().code(), StatusCode::Usage);
  wrong = options;
  wrong.startToken = 256;
  EXPECT_EQ(packText(wrong).status().code(), StatusCode::Usage);
  wrong = options;
  wrong.inputs = {folder / "missing"};
  EXPECT_EQ(packText(wrong).status().code(), StatusCode::Corrupt);
  wrong = options;
  wrong.output = folder / "no/such/train.bin";
  EXPECT_EQ(packText(wrong).status().code(), StatusCode::Storage);
}
