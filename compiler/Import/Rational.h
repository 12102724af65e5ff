//===- Rational.h - Exact fractions of a spec -------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_RATIONAL_H
#define SMELT_COMPILER_IMPORT_RATIONAL_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>

namespace smelt {

/// numerator / denominator in lowest terms, denominator > 0. 1/3 of 2070 steps is exactly step 690.
struct Rational {
  int64_t numerator = 0;
  int64_t denominator = 1;

  double toDouble() const {
    return static_cast<double>(numerator) / static_cast<double>(denominator);
  }
  /// ceil(this · count) for this in [0, 1] and count < 2³².
  int64_t ceilTimes(int64_t count) const;
  /// floor(this · count), likewise.
  int64_t floorTimes(int64_t count) const;
  bool operator==(const Rational &other) const = default;
  bool operator<(const Rational &other) const;
};

/// Lowest terms; nothing when the denominator is 0 or a number does not fit.
std::optional<Rational> makeRational(__int128 numerator, __int128 denominator);

/// Reads "1/3", "12", "0.55" or "-1e-3" exactly; nothing when the text is no such number or int64
/// cannot hold it.
std::optional<Rational> parseRational(llvm::StringRef text);

} // namespace smelt
#endif
