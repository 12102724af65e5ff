//===- Tokenizer.h - Text to tokens and back --------------------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace smelt::runtime {

/// Where a tokenizer's files are, by role: "vocab" and "merges" (GPT-2's encoder.json and
/// vocab.bpe), or "ranks" (tiktoken's file).
using TokenizerFiles = std::map<std::string, std::string>;

class Tokenizer {
public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocabulary() const = 0;
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  /// What documents begin with; −1 = nothing.
  virtual int32_t startToken() const { return -1; }
  /// The bytes of one token; empty for a number outside the vocabulary.
  virtual std::string decode(int32_t token) const = 0;
};

/// "bytes": every byte is a token, 256 of them. "gpt2": GPT-2's words and byte pairs; its files are
/// the user's. Others are refused by name.
StatusOr<std::unique_ptr<Tokenizer>> makeTokenizer(const std::string &name,
                                                   const TokenizerFiles &files = {});

/// The files at `path`: a folder with encoder.json and vocab.bpe (or vocab.json and merges.txt, as
/// they are called elsewhere) or with one .tiktoken file; or such a file itself.
StatusOr<TokenizerFiles> findTokenizerFiles(const std::string &path);

} // namespace smelt::runtime
