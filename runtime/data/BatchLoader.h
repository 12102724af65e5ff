//===- BatchLoader.h - Packed sequences from a token stream -----*- C++ -*-===//
//
// A batch is one packed sequence of T tokens (see Batch). Which tokens it has depends on the
// options and the position alone, never on time or threads, so a run that is resumed at a position
// sees the same batches.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/bundle/Manifest.h"
#include "runtime/data/TokenStream.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

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
  uint64_t seed = 0;
  /// This rank's share: rank `rank` of `world` takes every world-th batch.
  int64_t rank = 0;
  int64_t world = 1;
};

/// Where training is in the data; part of a checkpoint.
struct DataPosition {
  uint64_t samples = 0; ///< Random order: samples drawn by all ranks.
  uint64_t tokens = 0;  ///< Other orders: tokens consumed by all ranks, over all epochs.

  bool operator==(const DataPosition &) const = default;
};

/// Builds the batch of `tokens` tokens at `position` and moves the position past it.
Batch loadBatch(const TokenStream &stream, const LoaderOptions &options, int64_t tokens,
                DataPosition &position);

/// The batches of one validation: the stream from its beginning, without overlap, `count` targets
/// in all, or what the stream has. The last batch is filled up with ignored targets.
class ValidationBatches {
public:
  ValidationBatches(TokenStream stream, const LoaderOptions &options, int64_t count);
  /// The batch that starts at target `first`, a multiple of `tokens`; nothing at the end.
  std::optional<Batch> load(uint64_t first, int64_t tokens) const;

private:
  TokenStream stream_;
  LoaderOptions options_;
  uint64_t count_;
};

/// Loads the next batch on a thread of its own while the current one is used.
class PrefetchingLoader {
public:
  PrefetchingLoader(TokenStream stream, const LoaderOptions &options, DataPosition position);
  ~PrefetchingLoader();
  PrefetchingLoader(const PrefetchingLoader &) = delete;
  PrefetchingLoader &operator=(const PrefetchingLoader &) = delete;

  /// The next batch of `tokens` tokens.
  Batch next(int64_t tokens);
  /// After the batches that next() has returned: what has been prefetched does not count.
  DataPosition position() const { return position_; }

private:
  /// What the thread has, or is to have, ready.
  struct Prefetch {
    int64_t tokens = 0;
    DataPosition before, after;
    Batch batch;
    bool ready = false;
  };
  void runThread();

  TokenStream stream_;
  LoaderOptions options_;
  DataPosition position_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Prefetch prefetch_;
  bool stop_ = false;
  std::thread thread_;
};

} // namespace smelt::runtime
