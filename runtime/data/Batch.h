//===- Batch.h - One packed sequence, and where it comes from ---*- C++ -*-===//
#pragma once

#include "runtime/bundle/Manifest.h"

#include <cstdint>
#include <vector>

namespace smelt::runtime {

/// One packed sequence. `targets[t]` is the token that follows token t, −1 = ignored;
/// `documentStart[t]` is the index of the first token of t's document: non-decreasing, at most t.
struct Batch {
  std::vector<int32_t> tokens;
  std::vector<int32_t> targets;
  std::vector<int32_t> documentStart;
  int64_t validTargets = 0;
};

struct LoaderOptions {
  SampleOrder order = SampleOrder::Random;
  int64_t sequence = 0;
  int32_t startToken = -1;
  int64_t maxTokens = 0; ///< Order Aligned: see Data.
  int64_t ranks = 0;     ///< See Data.
  uint64_t seed = 0;
  /// This process's share: it takes batch `rank` of each `world` consecutive ones.
  int64_t rank = 0;
  int64_t world = 1;
};

/// Where training is in the data; part of a checkpoint. The batches that follow depend on it, the
/// files and the options alone.
struct DataPosition {
  uint64_t samples = 0; ///< Random order: samples drawn by all ranks.
  /// Tokens consumed by all ranks: over all epochs, or of the present shard with `ranks` > 0.
  uint64_t tokens = 0;
  uint64_t shard = 0;    ///< With `ranks` > 0: shards left behind, over all epochs.
  uint64_t document = 0; ///< Order Aligned: documents of the present shard left behind.
  uint64_t run = 0;      ///< With `ranks` > 0: runs taken of the present group of `ranks`.

  bool operator==(const DataPosition &) const = default;
};

} // namespace smelt::runtime
