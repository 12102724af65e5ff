#include "runtime/data/Shard.h"
#include "runtime/data/TokenStream.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <numeric>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

class ShardTest : public ::testing::Test {
protected:
  void SetUp() override {
    tokens.resize(100);
    std::iota(tokens.begin(), tokens.end(), 0);
    ASSERT_TRUE(writeShard(path, tokens).isOk());
  }
  /// The failure after `change` has been made to the file's bytes.
  template <typename Change> Status failureAfter(Change change) {
    std::string bytes = *readFile(path);
    change(bytes);
    std::ofstream(folder / "bad.bin", std::ios::binary) << bytes;
    Status status = Shard::openBin(folder / "bad.bin", 256).status();
    EXPECT_EQ(status.code(), StatusCode::Corrupt);
    EXPECT_NE(status.message().find("bad.bin"), std::string::npos) << status.message();
    return status;
  }
  TemporaryFolder folder;
  std::string path = folder / "a.bin";
  std::vector<uint16_t> tokens;
};

TEST_F(ShardTest, RoundTrips) {
  auto shard = Shard::openBin(path, 256);
  ASSERT_TRUE(shard.isOk()) << shard.status().message();
  ASSERT_EQ(shard->size(), 100u);
  std::vector<int32_t> read(10, -7);
  ASSERT_TRUE(shard->read(90, read).isOk());
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(read[i], 90 + i);
}

TEST_F(ShardTest, NamesTheOffsetOfEachDamage) {
  auto at = [](int offset, int32_t value) {
    return [=](std::string &bytes) { std::memcpy(bytes.data() + offset, &value, 4); };
  };
  EXPECT_NE(failureAfter(at(0, 1)).message().find("byte 0: the magic"), std::string::npos);
  EXPECT_NE(failureAfter(at(4, 2)).message().find("byte 4: version 2"), std::string::npos);
  EXPECT_NE(failureAfter(at(8, -1)).message().find("byte 8"), std::string::npos);
  EXPECT_NE(failureAfter(at(8, 101)).message().find("byte 1224: the header promises 101"),
            std::string::npos);
  EXPECT_NE(failureAfter(at(8, 99)).message().find("byte 1222"), std::string::npos);
  EXPECT_NE(failureAfter([](std::string &bytes) { bytes.resize(100); }).message().find("byte 100"),
            std::string::npos);
  EXPECT_NE(failureAfter([](std::string &bytes) { bytes.clear(); }).message().find("byte 0"),
            std::string::npos);
}

TEST_F(ShardTest, StreamsJoinShardsAndText) {
  std::vector<uint16_t> more = {200, 201};
  ASSERT_TRUE(writeShard(folder / "b.bin", more).isOk());
  ASSERT_TRUE(writeShard(folder / "c.bin", {}).isOk());
  std::ofstream(folder / "d.txt") << "\xff!";
  auto stream = TokenStream::open((folder / "*.bin") + "," + (folder / "d.txt"), "bytes", 256);
  ASSERT_TRUE(stream.isOk()) << stream.status().message();
  ASSERT_EQ(stream->size(), 104u);
  std::vector<int32_t> read(6, -7);
  ASSERT_TRUE(stream->read(98, read).isOk());
  EXPECT_EQ(read, (std::vector<int32_t>{98, 99, 200, 201, 255, '!'}));
  auto sizes = [](const TokenStream &s) {
    std::vector<uint64_t> result;
    for (const TokenRange &shard : s.shards())
      result.push_back(shard.size());
    return result;
  };
  EXPECT_EQ(sizes(*stream), (std::vector<uint64_t>{100, 2, 2})); // The empty file is no shard.
  TokenStream slice = stream->slice(99, 102);
  EXPECT_EQ(sizes(slice), (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(slice.size(), 3u);
  read.resize(3);
  ASSERT_TRUE(slice.read(0, read).isOk());
  EXPECT_EQ(read, (std::vector<int32_t>{99, 200, 201}));
}

TEST_F(ShardTest, MissingAndUnsuitableFilesAreRefused) {
  EXPECT_NE(TokenStream::open(folder / "x*.bin", "bytes", 256).status().message().find("x*.bin"),
            std::string::npos);
  EXPECT_EQ(TokenStream::open("", "bytes", 256).status().code(), StatusCode::Corrupt);
  std::ofstream(folder / "one.txt") << "1";
  EXPECT_NE(TokenStream::open(folder / "one.txt", "bytes", 256).status().message().find("1 tokens"),
            std::string::npos);
  EXPECT_FALSE(TokenStream::open(folder / "one.txt", "gpt2", 50257).isOk());
}
