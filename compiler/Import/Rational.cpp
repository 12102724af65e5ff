//===- Rational.cpp - Exact fractions of a spec ---------------------------===//
#include "compiler/Import/Rational.h"
#include "llvm/ADT/StringExtras.h"

using namespace smelt;

int64_t Rational::ceilTimes(int64_t count) const {
  __int128 product = static_cast<__int128>(numerator) * count;
  return static_cast<int64_t>((product + denominator - 1) / denominator);
}

int64_t Rational::floorTimes(int64_t count) const {
  return static_cast<int64_t>(static_cast<__int128>(numerator) * count / denominator);
}

bool Rational::operator<(const Rational &other) const {
  return static_cast<__int128>(numerator) * other.denominator <
         static_cast<__int128>(other.numerator) * denominator;
}

std::optional<Rational> smelt::makeRational(__int128 numerator, __int128 denominator) {
  if (denominator == 0)
    return std::nullopt;
  if (denominator < 0) {
    numerator = -numerator;
    denominator = -denominator;
  }
  __int128 a = numerator < 0 ? -numerator : numerator, b = denominator;
  while (b) {
    __int128 rest = a % b;
    a = b;
    b = rest;
  }
  numerator /= a;
  denominator /= a;
  if (numerator > INT64_MAX || numerator < -INT64_MAX || denominator > INT64_MAX)
    return std::nullopt;
  return Rational{static_cast<int64_t>(numerator), static_cast<int64_t>(denominator)};
}

/// One decimal number, such as "-12.5e-3".
static std::optional<Rational> parseDecimal(llvm::StringRef text) {
  bool negative = text.consume_front("-");
  constexpr __int128 limit = static_cast<__int128>(1) << 100;
  __int128 digits = 0;
  int64_t exponent = 0;
  bool any = false, point = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !point) {
      point = true;
      continue;
    }
    if (!llvm::isDigit(text[i]))
      break;
    any = true;
    if (digits > limit)
      return std::nullopt;
    digits = digits * 10 + (text[i] - '0');
    exponent -= point;
  }
  if (!any)
    return std::nullopt;
  if (i < text.size()) {
    if (text[i] != 'e' && text[i] != 'E')
      return std::nullopt;
    llvm::StringRef tail = text.substr(i + 1);
    tail.consume_front("+");
    int64_t written;
    if (tail.getAsInteger(10, written) || written > 1000 || written < -1000)
      return std::nullopt;
    exponent += written;
  }
  __int128 scale = 1;
  for (int64_t n = exponent < 0 ? -exponent : exponent; n > 0 && digits != 0; --n) {
    if (scale > limit)
      return std::nullopt;
    scale *= 10;
  }
  if (negative)
    digits = -digits;
  if (exponent >= 0) {
    if (digits > INT64_MAX || digits < -INT64_MAX || scale > INT64_MAX)
      return std::nullopt;
    return makeRational(digits * scale, 1);
  }
  return makeRational(digits, scale);
}

std::optional<Rational> smelt::parseRational(llvm::StringRef text) {
  auto [over, under] = text.split('/');
  std::optional<Rational> a = parseDecimal(over);
  if (!a || !text.contains('/'))
    return a;
  std::optional<Rational> b = parseDecimal(under);
  if (!b)
    return std::nullopt;
  return makeRational(static_cast<__int128>(a->numerator) * b->denominator,
                      static_cast<__int128>(a->denominator) * b->numerator);
}
