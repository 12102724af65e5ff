//===- RationalTest.cpp - Exact fractions ---------------------------------===//
#include "compiler/Import/Rational.h"
#include <gtest/gtest.h>

using smelt::parseRational;
using smelt::Rational;

TEST(Rational, ReadsExactly) {
  auto is = [](const char *text, int64_t over, int64_t under) {
    auto value = parseRational(text);
    return value && *value == Rational{over, under};
  };
  EXPECT_TRUE(is("1/3", 1, 3));
  EXPECT_TRUE(is("55/100", 11, 20));
  EXPECT_TRUE(is("0.55", 11, 20));
  EXPECT_TRUE(is("-1e-3", -1, 1000));
  EXPECT_TRUE(is("12.50e1", 125, 1));
  EXPECT_TRUE(is("0e999", 0, 1));
  EXPECT_TRUE(is("1.5/0.5", 3, 1));
  EXPECT_TRUE(is("9223372036854775807", INT64_MAX, 1));
}

TEST(Rational, RefusesTheRest) {
  for (const char *text : {"", "/", "1/", "/3", "1/0", "1/2/3", "a", "1e", "1e+", "1e9999999",
                           "1e-19999", "9223372036854775808", "1e19", "0x10", "1 /3", ".", "--1",
                           "1e-40", "123456789012345678901234567890123456789012"})
    EXPECT_FALSE(parseRational(text)) << text;
}

TEST(Rational, CeilTimes) {
  EXPECT_EQ((Rational{1, 3}).ceilTimes(2070), 690);
  EXPECT_EQ((Rational{1, 3}).ceilTimes(2071), 691);
  EXPECT_EQ((Rational{1, 1}).ceilTimes(2147483647), 2147483647);
  EXPECT_EQ((Rational{0, 1}).ceilTimes(100), 0);
  EXPECT_TRUE((Rational{1, 3}) < (Rational{2, 3}));
  EXPECT_FALSE((Rational{1, 3}) < (Rational{1, 3}));
}
