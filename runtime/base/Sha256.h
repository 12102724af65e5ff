//===- Sha256.h - SHA-256 (FIPS 180-4) --------------------------*- C++ -*-===//
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace smelt::runtime {

/// Incremental SHA-256.
class Sha256 {
public:
  void update(const void *data, size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  /// The digest as 64 lower-case hexadecimal digits. The object is used up.
  std::string finish();

private:
  void compress(const uint8_t *block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_ = {};
  size_t pendingBytes_ = 0;
  uint64_t totalBytes_ = 0;
};

std::string sha256Hex(std::string_view text);

} // namespace smelt::runtime
