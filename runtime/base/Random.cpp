#include "runtime/base/Random.h"

#include <cmath>
#include <numbers>

namespace smelt::runtime {

namespace {
/// FNV-1a: the stream's number from its name.
uint64_t hashName(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : name)
    hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

uint64_t join(uint32_t low, uint32_t high) { return uint64_t(high) << 32 | low; }
double toUnit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }
} // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t product0 = uint64_t(0xD2511F53) * counter[0];
    uint64_t product1 = uint64_t(0xCD9E8D57) * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

RandomStream::RandomStream(uint64_t seed, std::string_view name)
    : seed_(seed), stream_(hashName(name)) {}

std::array<uint32_t, 4> RandomStream::block(uint64_t index) const {
  return philox4x32({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                     static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                    {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
}

uint64_t RandomStream::bits(uint64_t index) const {
  auto words = block(index);
  return join(words[0], words[1]);
}

double RandomStream::uniform(uint64_t index) const { return toUnit(bits(index)); }

uint64_t RandomStream::below(uint64_t index, uint64_t bound) const {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits(index)) * bound) >> 64);
}

double RandomStream::normal(uint64_t index) const {
  auto words = block(index);
  // 1 - u lies in (0, 1], so the logarithm is finite.
  double radius = std::sqrt(-2.0 * std::log(1.0 - toUnit(join(words[0], words[1]))));
  return radius * std::cos(2.0 * std::numbers::pi * toUnit(join(words[2], words[3])));
}

} // namespace smelt::runtime
