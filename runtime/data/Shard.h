//===- Shard.h - The .bin token files of modded-nanogpt ---------*- C++ -*-===//
//
// A shard is 256 little-endian int32 (magic 20240520, version 1, token count, zeros) followed by
// that many little-endian uint16 tokens.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Files.h"

#include <cstdint>
#include <span>
#include <string>

namespace smelt::runtime {

inline constexpr int32_t kShardMagic = 20240520;
inline constexpr int32_t kShardVersion = 1;
inline constexpr size_t kShardHeaderBytes = 256 * sizeof(int32_t);

/// A mapped, fully checked file of tokens: a .bin shard (two bytes a token) or text under the byte
/// tokenizer (one byte a token).
class Shard {
public:
  /// Checks the header, the size and that every token is below `vocabulary`.
  static StatusOr<Shard> openBin(const std::string &path, int64_t vocabulary);
  /// Every byte is a token.
  static StatusOr<Shard> openText(const std::string &path);

  uint64_t size() const { return count_; }
  /// Copies tokens [first, first + out.size()), which must exist.
  void read(uint64_t first, std::span<int32_t> out) const;

private:
  Shard(MappedFile file, size_t tokenBytes, size_t headerBytes, uint64_t count)
      : file_(std::move(file)), tokenBytes_(tokenBytes), headerBytes_(headerBytes), count_(count) {}

  MappedFile file_;
  size_t tokenBytes_;
  size_t headerBytes_;
  uint64_t count_;
};

/// Writes a shard beside its final name, syncs and renames it.
Status writeShard(const std::string &path, std::span<const uint16_t> tokens);

} // namespace smelt::runtime
