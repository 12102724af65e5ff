#include "runtime/base/Random.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace smelt::runtime;

// Known-answer vectors of the Random123 distribution (kat_vectors, philox4x32 10 rounds).
TEST(RandomTest, PhiloxKnownAnswers) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomTest, StreamsDifferBySeedNameAndIndex) {
  RandomStream a(1, "x"), b(2, "x"), c(1, "y");
  EXPECT_EQ(a.bits(5), RandomStream(1, "x").bits(5));
  EXPECT_NE(a.bits(5), b.bits(5));
  EXPECT_NE(a.bits(5), c.bits(5));
  EXPECT_NE(a.bits(5), a.bits(6));
}

TEST(RandomTest, MomentsAreThoseOfTheDistributions) {
  RandomStream random(3, "moments");
  constexpr int count = 100000;
  double uniformSum = 0, sum = 0, squares = 0;
  for (int i = 0; i < count; ++i) {
    double u = random.uniform(i), n = random.normal(i);
    ASSERT_TRUE(u >= 0 && u < 1);
    uniformSum += u, sum += n, squares += n * n;
    ASSERT_LT(random.below(i, 7), 7u);
  }
  // Five standard errors: sqrt(1/12/n), sqrt(1/n), sqrt(2/n).
  EXPECT_TRUE(std::fabs(uniformSum / count - 0.5) <= 5 * std::sqrt(1.0 / 12 / count));
  EXPECT_TRUE(std::fabs(sum / count) <= 5 * std::sqrt(1.0 / count));
  EXPECT_TRUE(std::fabs(squares / count - 1) <= 5 * std::sqrt(2.0 / count));
}
