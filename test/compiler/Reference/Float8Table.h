//===- Float8Table.h - f8 numbers, counted out ------------------*- C++ -*-===//
//
// An oracle that shares no arithmetic with the code under test: all numbers of a format in a table,
// rounding by searching it.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_TEST_COMPILER_REFERENCE_FLOAT8TABLE_H
#define SMELT_TEST_COMPILER_REFERENCE_FLOAT8TABLE_H

#include <cmath>
#include <limits>
#include <vector>

namespace smelt::test {

struct Float8Table {
  /// values[code] for all 256 codes.
  std::vector<double> values;
  /// Code of the largest finite number.
  int largest;

  /// e4m3fn: bias 7, 0x7f is its only NaN. e5m2: bias 15, 0x7c infinite, above it NaN.
  static Float8Table makeE4M3FN() { return Float8Table(3, 7, 0x7e, 0x80); }
  static Float8Table makeE5M2() { return Float8Table(2, 15, 0x7b, 0x7c); }

  /// The nearest finite number; between two equally near ones the one with an even code; the
  /// largest number for everything beyond it.
  double round(double x) const {
    if (std::isnan(x))
      return x;
    int best = 0;
    for (int code = 1; code <= largest; ++code) {
      double step = std::fabs(std::fabs(x) - values[code]),
             bestStep = std::fabs(std::fabs(x) - values[best]);
      if (step < bestStep || (step == bestStep && code % 2 == 0))
        best = code;
    }
    if (std::fabs(x) >= values[largest])
      best = largest;
    return std::copysign(values[best], x);
  }

private:
  Float8Table(int mantissaBits, int bias, int largest, int infinity) : largest(largest) {
    for (int code = 0; code < 256; ++code) {
      int magnitude = code % 128;
      int exponent = magnitude >> mantissaBits, mantissa = magnitude % (1 << mantissaBits);
      double fraction = double(mantissa) / (1 << mantissaBits);
      double value = exponent == 0 ? fraction * std::pow(2.0, 1 - bias)
                                   : (1 + fraction) * std::pow(2.0, exponent - bias);
      if (magnitude == infinity)
        value = std::numeric_limits<double>::infinity();
      else if (magnitude > largest)
        value = std::numeric_limits<double>::quiet_NaN();
      values.push_back(code < 128 ? value : -value);
    }
  }
};

} // namespace smelt::test

#endif
