//===- FormatsTest.cpp - What bf16, f8 and masters mean -------------------===//
//
// Rounding to f8 against a table of all its numbers; quantised products and bf16+16 masters against
// values worked out by hand.
//
//===----------------------------------------------------------------------===//
#include "Float8Table.h"
#include "RunText.h"
#include "llvm/ADT/bit.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace smelt::test;
using smelt::reference::Tensor;

namespace {

const double infinity = std::numeric_limits<double>::infinity();

/// `x` cast to `type` and back.
std::vector<double> castTo(const std::string &type, const std::vector<double> &x) {
  std::string n = std::to_string(x.size());
  auto y = runBody("%x: tensor<" + n + "xf32>", "tensor<" + n + "xf32>",
                   "%a = lm.cast %x : tensor<" + n + "xf32> -> tensor<" + n + "x" + type +
                       ">\n%b = lm.cast %a : tensor<" + n + "x" + type + "> -> tensor<" + n +
                       "xf32>\nreturn %b : tensor<" + n + "xf32>",
                   {Tensor({int64_t(x.size())}, x)});
  return y[0].values;
}

void expectSameNumbers(const std::vector<double> &actual, const std::vector<double> &x,
                       const Float8Table &table) {
  for (size_t i = 0; i < x.size(); ++i) {
    double expected = table.round(x[i]);
    EXPECT_TRUE(actual[i] == expected || (std::isnan(actual[i]) && std::isnan(expected)))
        << x[i] << " became " << actual[i] << ", not " << expected;
    if (actual[i] == 0)
      EXPECT_EQ(std::signbit(actual[i]), std::signbit(x[i])) << x[i];
  }
}

/// Every number of the format, every midpoint between neighbours, and a hair above and below each;
/// numbers beyond the range.
std::vector<double> makeHardNumbers(const Float8Table &table) {
  std::vector<double> numbers{infinity, -infinity, std::nan(""), 1e9, -1e9,
                              1e-30,    -1e-30,    0.0,          -0.0};
  for (int code = 0; code <= table.largest; ++code) {
    double value = table.values[code];
    double next =
        code == table.largest ? 2 * value - table.values[code - 1] : table.values[code + 1];
    for (double x : {value, (value + next) / 2})
      for (double scale : {1.0, 1 - 0x1p-20, 1 + 0x1p-20})
        for (double sign : {1.0, -1.0})
          numbers.push_back(sign * scale * x);
  }
  return numbers;
}

TEST(Float8, RoundsToTheNearestNumber) {
  for (bool isE4M3 : {true, false}) {
    Float8Table table = isE4M3 ? Float8Table::makeE4M3FN() : Float8Table::makeE5M2();
    std::vector<double> numbers = makeHardNumbers(table);
    expectSameNumbers(castTo(isE4M3 ? "f8E4M3FN" : "f8E5M2", numbers), numbers, table);
  }
}

TEST(Float8, HoldsAll256Codes) {
  for (bool isE4M3 : {true, false}) {
    Float8Table table = isE4M3 ? Float8Table::makeE4M3FN() : Float8Table::makeE5M2();
    EXPECT_EQ(table.values[table.largest], isE4M3 ? 448 : 57344);
    EXPECT_EQ(table.values[1], isE4M3 ? 0x1p-9 : 0x1p-16);
    std::vector<double> back = castTo(isE4M3 ? "f8E4M3FN" : "f8E5M2", table.values);
    for (int code = 0; code < 256; ++code) {
      double value = table.values[code];
      if (std::isinf(value))
        EXPECT_EQ(back[code], std::copysign(table.values[table.largest], value));
      else if (std::isnan(value))
        EXPECT_TRUE(std::isnan(back[code]));
      else
        EXPECT_EQ(back[code], value);
    }
  }
}

TEST(Float8, WiderFormatsOverflowToInfinity) {
  std::vector<double> x{65519, 65520, -1e6, 3.3895313892515355e38, 3.4e38, std::nan("")};
  std::vector<double> half = castTo("f16", x), brain = castTo("bf16", x);
  EXPECT_EQ(half[0], 65504);
  EXPECT_EQ(half[1], infinity);
  EXPECT_EQ(half[2], -infinity);
  EXPECT_EQ(brain[3], 3.3895313892515355e38);
  EXPECT_EQ(brain[4], infinity);
  EXPECT_TRUE(std::isnan(half[5]) && std::isnan(brain[5]));
}

TEST(Quantize, DividesByTheScale) {
  auto run = [](const std::string &scale) {
    return runBody("%x: tensor<6xf32>", "tensor<6xf8E4M3FN>",
                   "%q = lm.quantize %x {scale = " + scale +
                       " : f64} : tensor<6xf32> -> tensor<6xf8E4M3FN>\nreturn %q : "
                       "tensor<6xf8E4M3FN>",
                   {Tensor({6}, {1, -0.53, 100, -1e9, 17, infinity})})[0];
  };
  // Steps of e4m3: 1/16 in [0.5, 1), 2 in [16, 32), 4 in [32, 64), 8 in [64, 128), 16 in [128,
  // 256); 17, 34, 100 and 200 are ties.
  expectNear(run("1.0"), Tensor({6}, {1, -0.5, 96, -448, 16, 448}), 0);
  expectNear(run("0.5"), Tensor({6}, {2, -1, 192, -448, 32, 448}), 0);
}

/// The scale √768/448 of the short record: the product with f32(1/scale), rounded to f32, then f8.
TEST(Quantize, RoundsTheProductBeforeTheFormat) {
  double scale = std::sqrt(768.0) / 448;
  float inverse = float(1 / scale);
  Float8Table table = Float8Table::makeE4M3FN();
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  std::vector<double> x(4000), expected;
  for (double &value : x) {
    value = normal(random);
    expected.push_back(table.round(float(value) * inverse));
  }
  char text[64];
  std::snprintf(text, sizeof text, "%.17g", scale);
  auto q = runBody("%x: tensor<4000xf32>", "tensor<4000xf8E4M3FN>",
                   "%q = lm.quantize %x {scale = " + std::string(text) +
                       " : f64} : tensor<4000xf32> -> tensor<4000xf8E4M3FN>\nreturn %q : "
                       "tensor<4000xf8E4M3FN>",
                   {Tensor({4000}, x)});
  EXPECT_EQ(q[0].values, expected);
}

TEST(QuantizedMatmul, MultipliesRoundedOperands) {
  // x / 0.5 = (2, 34 → 32), w / 2 = (1.5, -0.53 → -0.5): (3 - 16)·0.5·2.
  auto z = runBody("%x: tensor<1x2xf32>, %w: tensor<1x2xf32>", "tensor<1x1xf32>", R"(
    %z = lm.quantized_matmul %x, %w {x_scale = 0.5 : f64, w_scale = 2.0 : f64, gradient_scale = 1.0 : f64}
        : tensor<1x2xf32>, tensor<1x2xf32> -> tensor<1x1xf32>
    return %z : tensor<1x1xf32>)",
                   {Tensor({1, 2}, {1, 17}), Tensor({1, 2}, {3, -1.06})});
  expectNear(z[0], Tensor({1, 1}, {-13}), 0);
}

TEST(Master, SplitsAndJoinsBits) {
  std::mt19937 random(3);
  std::vector<double> x{0.0, -0.0, 1.0, 1.0 + 0x1p-7, 1.0 - 0x1p-24, -3.14159f, 1e-40f, 3.4e38f};
  while (x.size() < 512) {
    float value = llvm::bit_cast<float>(uint32_t(random()));
    if (!std::isnan(value))
      x.push_back(value);
  }
  auto y = runBody("%x: tensor<512xf32>", "tensor<512xbf16>, tensor<512xi16>, tensor<512xf32>", R"(
    %high, %low = lm.split_master %x : tensor<512xf32> -> tensor<512xbf16>, tensor<512xi16>
    %m = lm.join_master %high, %low : tensor<512xbf16>, tensor<512xi16> -> tensor<512xf32>
    return %high, %low, %m : tensor<512xbf16>, tensor<512xi16>, tensor<512xf32>)",
                   {Tensor({512}, x)});
  EXPECT_EQ(y[2].values, x);
  // Truncated: 1 − 2⁻²⁴ keeps its first 8 bits.
  EXPECT_EQ(y[0](4), 1 - 0x1p-8);
  EXPECT_EQ(y[1](4), 0xffff);
  EXPECT_EQ(y[0](3), 1 + 0x1p-7);
  EXPECT_EQ(y[1](3), 0);
}

} // namespace
