//===- MemoryPlanTest.cpp - Random lifetimes: nothing overlaps, memory is reused ===//
#include "compiler/Transforms/Memory/MemoryPlan.h"
#include <gtest/gtest.h>
#include <random>

using namespace smelt;

namespace {

std::vector<Lifetime> makeRandomLifetimes(unsigned seed, int count, int launches) {
  std::mt19937 random(seed);
  std::vector<Lifetime> lifetimes;
  for (int i = 0; i < count; ++i) {
    int64_t first = random() % launches, length = random() % 8;
    lifetimes.push_back({static_cast<int64_t>(1 + random() % 20000), first, std::min<int64_t>(first + length, launches - 1), -1});
  }
  return lifetimes;
}

/// The definition of a right plan, written apart from findOverlap.
bool isRight(const std::vector<Lifetime> &lifetimes, int64_t total) {
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    const Lifetime &a = lifetimes[i];
    if (a.offset < 0 || a.offset % kMemoryAlignment || a.offset + a.bytes > total)
      return false;
    for (size_t j = 0; j < i; ++j) {
      const Lifetime &b = lifetimes[j];
      bool apartInTime = a.last < b.first || b.last < a.first;
      bool apartInMemory = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
      if (!apartInTime && !apartInMemory)
        return false;
    }
  }
  return true;
}

TEST(MemoryPlanTest, RandomLifetimesNeverOverlap) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::vector<Lifetime> lifetimes = makeRandomLifetimes(seed, 1 + seed, 40);
    int64_t total = planMemory(lifetimes);
    EXPECT_TRUE(isRight(lifetimes, total)) << "seed " << seed;
    EXPECT_FALSE(findOverlap(lifetimes)) << "seed " << seed;
    EXPECT_GE(total, getPeak(lifetimes)) << "seed " << seed;
  }
}

TEST(MemoryPlanTest, MemoryIsReused) {
  // Short lifetimes over many launches: without reuse the sum of all would be needed.
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::vector<Lifetime> lifetimes = makeRandomLifetimes(seed, 400, 200);
    int64_t sum = 0;
    for (const Lifetime &lifetime : lifetimes)
      sum += alignMemory(lifetime.bytes);
    int64_t total = planMemory(lifetimes);
    EXPECT_LT(total, sum / 4) << "seed " << seed;
    EXPECT_LT(total, getPeak(lifetimes) * 3 / 2) << "seed " << seed; // Greedy by size stays near the bound in practice.
  }
}

TEST(MemoryPlanTest, ChainTakesTwoBuffers) {
  std::vector<Lifetime> lifetimes;
  for (int64_t i = 0; i < 10; ++i)
    lifetimes.push_back({256, i, i + 1, -1});
  EXPECT_EQ(planMemory(lifetimes), 512);
}

TEST(MemoryPlanTest, SmallestGapIsTaken) {
  // At launch 1 two gaps are free: 1024 bytes where the first was, 512 where the third was.
  std::vector<Lifetime> lifetimes = {{1024, 0, 0, -1}, {4096, 0, 1, -1}, {512, 0, 0, -1}, {2048, 0, 1, -1}, {400, 1, 1, -1}};
  int64_t total = planMemory(lifetimes);
  EXPECT_TRUE(isRight(lifetimes, total));
  EXPECT_EQ(total, 1024 + 4096 + 512 + 2048);
}

TEST(MemoryPlanTest, EqualSizesKeepTheirOrder) {
  std::vector<Lifetime> lifetimes(4, {100, 0, 0, -1});
  EXPECT_EQ(planMemory(lifetimes), 1024);
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_EQ(lifetimes[i].offset, i * 256);
}

TEST(MemoryPlanTest, SidesStayApart) {
  // Three lifetimes that never meet: one place is enough, until two of them are on different sides.
  std::vector<Lifetime> lifetimes = {{256, 0, 0, -1}, {256, 1, 1, -1}, {256, 2, 2, -1}};
  EXPECT_EQ(planMemory(lifetimes), 256);
  lifetimes[0].side = Lifetime::Left;
  lifetimes[2].side = Lifetime::Right;
  EXPECT_EQ(planMemory(lifetimes), 512);
  EXPECT_NE(lifetimes[0].offset, lifetimes[2].offset);
}

TEST(MemoryPlanTest, OverlapIsFound) {
  std::vector<Lifetime> lifetimes = {{64, 0, 2, 0}, {64, 3, 4, 0}, {64, 2, 3, 32}};
  auto overlap = findOverlap(lifetimes);
  ASSERT_TRUE(overlap);
  EXPECT_EQ(*overlap, std::make_pair(size_t(0), size_t(2)));
}

TEST(MemoryPlanTest, NothingTakesNothing) {
  std::vector<Lifetime> none;
  EXPECT_EQ(planMemory(none), 0);
  EXPECT_EQ(getPeak(none), 0);
}

} // namespace
