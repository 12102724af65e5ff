//===- PackText.h - `smelt data pack`: text files to shards -----*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace smelt::runtime {

struct PackOptions {
  std::vector<std::string> inputs;    ///< Paths or patterns of text files.
  std::string output;                 ///< The training shard: "data/train.bin".
  std::string validationOutput;       ///< Empty = nothing is held out.
  double validationFraction = 0.05;   ///< The last documents' tokens go to the validation shard.
  std::optional<int32_t> startToken;  ///< Put before each document; −1 = no token; else the
                                      ///< tokenizer's (GPT-2's is 50256).
  std::string separator;              ///< Splits a file into documents; empty = a file is one.
  uint64_t shardTokens = 100'000'000; ///< More tokens than this go into several shards.
  std::string tokenizer = "bytes";
  std::string tokenizerFiles; ///< A folder or file, see findTokenizerFiles; gpt2 needs it.
};

struct PackResult {
  uint64_t documents = 0;
  uint64_t trainTokens = 0;
  uint64_t validationTokens = 0;
  std::vector<std::string> files; ///< What was written.
};

/// Tokenises the documents and writes the shards: `output`, or `output` with _000000, _000001 …
/// before .bin where one is not enough.
StatusOr<PackResult> packText(const PackOptions &options);

} // namespace smelt::runtime
