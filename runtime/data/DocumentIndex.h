//===- DocumentIndex.h - Where a shard's documents start --------*- C++ -*-===//
#pragma once

#include "runtime/data/TokenStream.h"

#include <deque>
#include <memory>

namespace smelt::runtime {

/// The positions (in the stream) of a start token, shard by shard. A shard is scanned when it is
/// first asked for, which checks all its tokens too, and the last two scans are kept: the prefetch
/// thread asks for the next shard's while the present one is in use.
class DocumentIndex {
public:
  DocumentIndex(TokenStream stream, int32_t startToken)
      : stream_(std::move(stream)), startToken_(startToken) {}

  StatusOr<std::shared_ptr<const std::vector<uint64_t>>> starts(size_t shard);

private:
  struct Scan {
    size_t shard;
    std::shared_ptr<const std::vector<uint64_t>> starts;
  };
  TokenStream stream_;
  int32_t startToken_;
  std::deque<Scan> scans_;
};

} // namespace smelt::runtime
