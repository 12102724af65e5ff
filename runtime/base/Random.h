//===- Random.h - Counter-based random numbers ------------------*- C++ -*-===//
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A value
// depends on (seed, stream, index) alone: order, threads and ranks do not matter.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace smelt::runtime {

/// The ten rounds of Philox4x32.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// One stream of random numbers, addressed by index.
class RandomStream {
public:
  RandomStream(uint64_t seed, std::string_view name);

  /// 64 random bits.
  uint64_t bits(uint64_t index) const;
  /// In [0, 1), a multiple of 2^-53.
  double uniform(uint64_t index) const;
  /// An integer in [0, bound), bound > 0. The bias is below bound / 2^64.
  uint64_t below(uint64_t index, uint64_t bound) const;
  /// Standard normal (Box-Muller).
  double normal(uint64_t index) const;

private:
  std::array<uint32_t, 4> block(uint64_t index) const;

  uint64_t seed_;
  uint64_t stream_;
};

} // namespace smelt::runtime
