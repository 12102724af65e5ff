#include "test/runtime/collective/RankThreads.h"

#include <cstring>
#include <mutex>

using namespace smelt::runtime;

namespace {

/// Numbers whose sums depend on the order of addition.
double termOf(int rank, size_t index) {
  uint64_t x = (index * 0x9E3779B97F4A7C15u) ^ (uint64_t(rank + 1) * 0xBF58476D1CE4E5B9u);
  x ^= x >> 31;
  return (double(x >> 40) / (1 << 23) - 1) * (index % 3 ? 1.0 : 1e-3);
}

std::vector<std::byte> makeData(DType type, int rank, size_t count) {
  std::vector<std::byte> data(count * dtypeBytes(type));
  for (size_t i = 0; i < count; ++i)
    storeElement(type, termOf(rank, i), data.data() + i * dtypeBytes(type));
  return data;
}

double get(DType type, const std::vector<std::byte> &data, size_t index) {
  return loadElement(type, data.data() + index * dtypeBytes(type));
}

/// The exact sum of what the ranks' data hold.
double sumOf(DType type, int size, size_t index) {
  double sum = 0;
  for (int rank = 0; rank < size; ++rank) {
    std::byte element[8];
    storeElement(type, termOf(rank, index), element);
    sum += loadElement(type, element);
  }
  return sum;
}

double boundOf(DType type, int size) {
  return type == DType::BF16 ? 0x1p-8 * size : type == DType::F32 ? 0x1p-23 * size : 0x1p-50;
}

class CollectiveTest : public testing::TestWithParam<int> {
protected:
  void run(const std::function<void(Collective &)> &body) {
    runRanks(GetParam(), [&](RankGroup &group) {
      auto collective = makeGlooCollective(group);
      ASSERT_TRUE(collective.isOk()) << collective.status().message();
      ASSERT_EQ((*collective)->rank(), group.rank());
      ASSERT_EQ((*collective)->size(), group.size());
      body(**collective);
      ASSERT_TRUE((*collective)->barrier().isOk());
      group.leave();
    });
  }
};

TEST_P(CollectiveTest, AllReduceIsTheSumAndTheSameBitsEverywhereAlways) {
  for (DType type : {DType::F32, DType::BF16, DType::F64})
    for (size_t count : {size_t(0), size_t(1), size_t(3), size_t(1000), size_t(700001)}) {
      std::mutex mutex;
      std::vector<std::vector<std::byte>> results;
      run([&](Collective &collective) {
        for (int again = 0; again < 2; ++again) {
          auto data = makeData(type, collective.rank(), count);
          Status status = collective.allReduce(data, type);
          ASSERT_TRUE(status.isOk()) << status.message();
          std::lock_guard lock(mutex);
          results.push_back(data);
        }
      });
      ASSERT_EQ(results.size(), size_t(2 * GetParam()));
      for (const auto &result : results)
        EXPECT_EQ(result, results[0]);
      for (size_t i = 0; i < count; i += 1 + count / 500)
        ASSERT_NEAR(get(type, results[0], i), sumOf(type, GetParam(), i), boundOf(type, GetParam())) << i;
    }
}

TEST_P(CollectiveTest, ReduceScatterGivesEachRankItsPart) {
  for (DType type : {DType::F32, DType::BF16})
    for (size_t part : {size_t(0), size_t(1), size_t(257), size_t(50000)})
      run([&](Collective &collective) {
        auto data = makeData(type, collective.rank(), part * GetParam());
        std::vector<std::byte> mine(part * dtypeBytes(type));
        Status status = collective.reduceScatter(data, mine, type);
        ASSERT_TRUE(status.isOk()) << status.message();
        for (size_t i = 0; i < part; i += 1 + part / 100)
          ASSERT_NEAR(get(type, mine, i), sumOf(type, GetParam(), collective.rank() * part + i),
                      boundOf(type, GetParam()));
      });
}

TEST_P(CollectiveTest, AllGatherAndBroadcastCopy) {
  run([&](Collective &collective) {
    for (size_t part : {size_t(0), size_t(1), size_t(4099)}) {
      auto mine = makeData(DType::F32, collective.rank(), part);
      std::vector<std::byte> all(mine.size() * GetParam());
      ASSERT_TRUE(collective.allGather(mine, all).isOk());
      for (int rank = 0; rank < GetParam(); ++rank) {
        auto theirs = makeData(DType::F32, rank, part);
        ASSERT_EQ(std::memcmp(all.data() + rank * theirs.size(), theirs.data(), theirs.size()), 0);
      }
      for (int root = 0; root < GetParam(); ++root) {
        auto data = makeData(DType::BF16, collective.rank(), part);
        ASSERT_TRUE(collective.broadcast(data, root).isOk());
        ASSERT_EQ(data, makeData(DType::BF16, root, part));
      }
    }
  });
}

TEST_P(CollectiveTest, SizesThatDoNotFitAreRefused) {
  run([&](Collective &collective) {
    std::vector<std::byte> from(12 * GetParam()), to(8);
    EXPECT_FALSE(collective.reduceScatter(from, to, DType::F32).isOk());
    EXPECT_FALSE(collective.allGather(to, from).isOk());
    EXPECT_FALSE(collective.allReduce(from, DType::I32).isOk());
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, CollectiveTest, testing::Values(1, 2, 3, 4));

} // namespace
