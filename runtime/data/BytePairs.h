//===- BytePairs.h - Byte-pair encoding -------------------------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace smelt::runtime {

/// A vocabulary of byte strings and the merges that make them: of all neighbours that can merge,
/// those of least rank do, the leftmost first.
class BytePairs {
public:
  struct Merge {
    uint32_t rank;
    int32_t token; ///< What the pair becomes.
  };

  BytePairs(BytePairs &&) = default;
  BytePairs &operator=(BytePairs &&) = default;
  BytePairs(const BytePairs &) = delete; // words_ looks into bytes_.

  int64_t vocabulary() const { return static_cast<int64_t>(bytes_.size()); }
  /// <|endoftext|>, which text never becomes.
  int32_t endOfText() const { return endOfText_; }
  /// Empty for a number outside the vocabulary.
  std::string_view bytesOf(int32_t token) const;
  /// Appends the tokens of one word, which is not empty. Takes n·log n steps for n bytes.
  void encodeWord(std::string_view word, std::vector<int32_t> &tokens) const;

  /// GPT-2's own files: vocab.bpe has a merge a line, encoder.json each token's number, both in
  /// GPT-2's letters for bytes.
  static StatusOr<BytePairs> readMerges(const std::string &vocabularyPath,
                                        const std::string &mergesPath);
  /// tiktoken's file: a token in base64 and its rank a line. Ranks are the tokens' numbers, the
  /// next number is <|endoftext|>. Any two neighbours merge that together are a token; a word that
  /// is a token is that token.
  static StatusOr<BytePairs> readRanks(const std::string &path);

private:
  BytePairs() = default;
  struct Reader; ///< In ReadBytePairs.cpp.

  static uint64_t keyOf(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }
  const Merge *findMerge(int32_t left, int32_t right) const {
    auto it = merges_.find(keyOf(left, right));
    return it == merges_.end() ? nullptr : &it->second;
  }

  std::vector<std::string> bytes_; ///< By token.
  int32_t ofByte_[256] = {};
  int32_t endOfText_ = -1;
  std::unordered_map<uint64_t, Merge> merges_;
  std::unordered_map<std::string_view, int32_t> words_; ///< Views of bytes_; empty: no such rule.
};

} // namespace smelt::runtime
