//===- Rounds.h - Times that are taken in turns -----------------*- C++ -*-===//
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace smelt::runtime::bench {

/// The numbers below which `share`, a half and 1 − `share` of a list lie.
struct Spread {
  double low = 0, middle = 0, high = 0;
};

/// Between neighbours in proportion, as numpy.quantile does it. `numbers` is not empty.
inline double quantile(std::vector<double> numbers, double share) {
  std::sort(numbers.begin(), numbers.end());
  double place = share * static_cast<double>(numbers.size() - 1), below = std::floor(place);
  auto first = static_cast<size_t>(below), second = std::min(first + 1, numbers.size() - 1);
  return numbers[first] + (place - below) * (numbers[second] - numbers[first]);
}

inline Spread spread(const std::vector<double> &numbers, double share) {
  return {quantile(numbers, share), quantile(numbers, 0.5), quantile(numbers, 1 - share)};
}

/// By round, what two lists that were taken in the same rounds say of each other.
inline std::vector<double> ratios(const std::vector<double> &of, const std::vector<double> &to) {
  std::vector<double> all(std::min(of.size(), to.size()));
  for (size_t i = 0; i < all.size(); ++i)
    all[i] = of[i] / to[i];
  return all;
}

/// The mean of the largest of one number from each list, whichever they are (as if drawn without
/// regard to each other). No list is empty.
inline double expectedLargest(std::vector<std::vector<double>> lists) {
  std::vector<double> all;
  for (std::vector<double> &list : lists) {
    std::sort(list.begin(), list.end());
    all.insert(all.end(), list.begin(), list.end());
  }
  std::sort(all.begin(), all.end());
  double mean = 0, before = 0;
  for (double number : all) {
    double share = 1; // Of all choices, those in which no number is larger.
    for (const std::vector<double> &list : lists)
      share *=
          static_cast<double>(std::upper_bound(list.begin(), list.end(), number) - list.begin()) /
          static_cast<double>(list.size());
    mean += number * (share - before);
    before = share;
  }
  return mean;
}

} // namespace smelt::runtime::bench
