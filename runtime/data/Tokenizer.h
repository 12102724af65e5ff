//===- Tokenizer.h - Text to tokens and back --------------------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace smelt::runtime {

class Tokenizer {
public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocabulary() const = 0;
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  /// The bytes of one token; empty for a number outside the vocabulary.
  virtual std::string decode(int32_t token) const = 0;
};

/// "bytes": every byte is a token, 256 of them. Others are refused by name.
StatusOr<std::unique_ptr<Tokenizer>> makeTokenizer(const std::string &name);

} // namespace smelt::runtime
