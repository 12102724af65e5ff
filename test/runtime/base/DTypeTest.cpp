#include "runtime/base/DType.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace smelt::runtime;

static double roundTrip(DType dtype, double value) {
  unsigned char bytes[8];
  std::memset(bytes, 0xab, sizeof bytes);
  storeElement(dtype, value, bytes);
  return loadElement(dtype, bytes);
}

TEST(DTypeTest, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::Bool); ++i) {
    auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parseDType(dtypeName(dtype)), dtype);
    EXPECT_EQ(parseSafetensorsDType(safetensorsDTypeName(dtype)), dtype);
  }
  EXPECT_FALSE(parseDType("f33"));
}

TEST(DTypeTest, FloatsRoundToNearestEven) {
  EXPECT_EQ(roundTrip(DType::BF16, 1.00390625), 1.0);      // 1 + 2^-8: tie, to even
  EXPECT_EQ(roundTrip(DType::BF16, 1.01171875), 1.015625); // 1 + 3·2^-8: tie, to even
  EXPECT_EQ(roundTrip(DType::F16, 1 + 0x1p-11), 1.0);      // tie, to even
  EXPECT_EQ(roundTrip(DType::F16, 1 + 3 * 0x1p-11), 1 + 0x1p-9);
  EXPECT_EQ(roundTrip(DType::F16, 65504), 65504);
  EXPECT_EQ(roundTrip(DType::F16, 65520), std::numeric_limits<double>::infinity());
  EXPECT_EQ(roundTrip(DType::F16, 0x1p-24), 0x1p-24);
  EXPECT_EQ(roundTrip(DType::F16, 0x1p-26), 0.0);
  EXPECT_EQ(roundTrip(DType::F16, -0.333251953125), -0.333251953125);
  EXPECT_TRUE(std::isnan(roundTrip(DType::BF16, std::nan(""))));
  EXPECT_TRUE(std::isnan(roundTrip(DType::F16, std::nan(""))));
}

TEST(DTypeTest, EveryHalfRoundTrips) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    auto half = static_cast<uint16_t>(bits);
    double value = loadElement(DType::F16, &half);
    if (std::isnan(value))
      continue;
    uint16_t back = 0xdead;
    storeElement(DType::F16, value, &back);
    ASSERT_EQ(back, half);
  }
}

TEST(DTypeTest, Float8RoundsAndSaturates) {
  double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(roundTrip(DType::F8E4M3, 17), 16);     // tie, to even
  EXPECT_EQ(roundTrip(DType::F8E4M3, 19), 20);     // tie, to even
  EXPECT_EQ(roundTrip(DType::F8E4M3, 0x1p-10), 0); // half of the smallest number
  EXPECT_EQ(roundTrip(DType::F8E4M3, 0x1.1p-10), 0x1p-9);
  EXPECT_EQ(roundTrip(DType::F8E4M3, -infinity), -448);
  EXPECT_EQ(roundTrip(DType::F8E5M2, 9), 8);
  EXPECT_EQ(roundTrip(DType::F8E5M2, 1e9), 57344);
  EXPECT_TRUE(std::isnan(roundTrip(DType::F8E4M3, std::nan(""))));
  EXPECT_TRUE(std::isnan(roundTrip(DType::F8E5M2, std::nan(""))));
  uint8_t infinite = 0x7c;
  EXPECT_EQ(loadElement(DType::F8E5M2, &infinite), infinity);
}

TEST(DTypeTest, EveryFloat8RoundTrips) {
  for (DType dtype : {DType::F8E4M3, DType::F8E5M2})
    for (int bits = 0; bits < 256; ++bits) {
      auto code = static_cast<uint8_t>(bits);
      double value = loadElement(dtype, &code);
      if (!std::isfinite(value))
        continue;
      uint8_t back = 0xee;
      storeElement(dtype, value, &back);
      ASSERT_EQ(back, code) << dtypeName(dtype);
    }
}

TEST(DTypeTest, IntegersRoundAndClamp) {
  EXPECT_EQ(roundTrip(DType::I32, 383.6), 384);
  EXPECT_EQ(roundTrip(DType::I32, -2.5), -2);
  EXPECT_EQ(roundTrip(DType::I32, 1e30), std::numeric_limits<int32_t>::max());
  EXPECT_EQ(roundTrip(DType::I8, -1e30), -128);
  EXPECT_EQ(roundTrip(DType::U8, 300), 255);
}

TEST(DTypeTest, ShapeBytesRefusesOverflow) {
  EXPECT_EQ(shapeBytes({}, DType::F32), 4u);
  EXPECT_EQ(shapeBytes({3, 5}, DType::F32), 60u);
  EXPECT_EQ(shapeBytes({3, 0, 5}, DType::F32), 0u);
  EXPECT_FALSE(shapeBytes({-1}, DType::F32));
  EXPECT_FALSE(shapeBytes({int64_t(1) << 31, int64_t(1) << 31}, DType::F32));
  EXPECT_FALSE(shapeBytes({int64_t(1) << 62, 1, 4}, DType::U8));
}
