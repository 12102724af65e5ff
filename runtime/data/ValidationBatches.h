//===- ValidationBatches.h - Held-out tokens, each target once --*- C++ -*-===//
#pragma once

#include "runtime/data/Batch.h"
#include "runtime/data/TokenStream.h"

#include <optional>

namespace smelt::runtime {

/// The sequences of one validation: the stream from its beginning, without overlap, `count` targets
/// in all, or what the stream has (`count` = 0: all). The last one is filled up with ignored
/// targets.
class ValidationBatches {
public:
  ValidationBatches(TokenStream stream, const LoaderOptions &options, int64_t count);

  /// This rank's `index`-th sequence of `tokens` tokens; nothing when all ranks are at the end. All
  /// ranks get as many, so that they can run in step: a rank whose share ends early gets padding.
  StatusOr<std::optional<Batch>> load(uint64_t index, int64_t tokens) const;

private:
  TokenStream stream_;
  LoaderOptions options_;
  uint64_t count_;
};

} // namespace smelt::runtime
