//===- PrefetchingLoader.h - Batches ahead of the training ------*- C++ -*-===//
#pragma once

#include "runtime/data/BatchSource.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace smelt::runtime {

/// How many tokens the loader's n-th batch (from 0) has: known beforehand, so that a stage's first
/// batch is prefetched too.
using BatchPlan = std::function<int64_t(uint64_t batch)>;

/// Keeps the next two batches ready, loaded on a thread of its own; when both are, the thread lets
/// the source prepare what comes later. Only that thread touches the source.
class PrefetchingLoader {
public:
  PrefetchingLoader(std::unique_ptr<BatchSource> source, DataPosition position, BatchPlan plan);
  ~PrefetchingLoader();
  PrefetchingLoader(const PrefetchingLoader &) = delete;
  PrefetchingLoader &operator=(const PrefetchingLoader &) = delete;

  /// The next batch of the plan. A failure comes when its batch is asked for, and stays.
  StatusOr<Batch> next();
  /// After the batches that next() has returned: what has been prefetched does not count.
  DataPosition position() const { return position_; }

private:
  struct Prefetched {
    StatusOr<Batch> batch;
    DataPosition after;
  };
  static constexpr size_t kDepth = 2;
  void runThread(DataPosition position);

  std::unique_ptr<BatchSource> source_;
  BatchPlan plan_;
  DataPosition position_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Prefetched> ready_;
  bool stop_ = false;
  std::thread thread_;
};

} // namespace smelt::runtime
