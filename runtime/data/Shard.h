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

/// A mapped file of tokens: a .bin shard (two bytes a token) or text under the byte tokenizer (one
/// byte a token). Opening it looks at the header and the size; each token is checked when it is
/// read, so that a run over a hundred shards begins at once.
class Shard {
public:
  /// Checks the header and the size. Tokens must be below `vocabulary`.
  static StatusOr<Shard> openBin(const std::string &path, int64_t vocabulary);
  /// Every byte is a token.
  static StatusOr<Shard> openText(const std::string &path);

  uint64_t size() const { return count_; }
  /// Copies tokens [first, first + out.size()), which must exist; fails at one that is not below
  /// the vocabulary.
  Status read(uint64_t first, std::span<int32_t> out) const;

private:
  Shard(std::string path, MappedFile file, size_t tokenBytes, size_t headerBytes, uint64_t count,
        int64_t vocabulary)
      : path_(std::move(path)), file_(std::move(file)), tokenBytes_(tokenBytes),
        headerBytes_(headerBytes), count_(count), vocabulary_(vocabulary) {}

  std::string path_;
  MappedFile file_;
  size_t tokenBytes_;
  size_t headerBytes_;
  uint64_t count_;
  int64_t vocabulary_;
};

/// Writes a shard beside its final name, syncs and renames it.
Status writeShard(const std::string &path, std::span<const uint16_t> tokens);

} // namespace smelt::runtime
