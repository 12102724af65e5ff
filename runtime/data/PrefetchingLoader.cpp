#include "runtime/data/PrefetchingLoader.h"

namespace smelt::runtime {

PrefetchingLoader::PrefetchingLoader(std::unique_ptr<BatchSource> source, DataPosition position,
                                     BatchPlan plan)
    : source_(std::move(source)), plan_(std::move(plan)), position_(position),
      thread_([this, position] { runThread(position); }) {}

PrefetchingLoader::~PrefetchingLoader() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

StatusOr<Batch> PrefetchingLoader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty(); });
  if (!ready_.front().batch.isOk())
    return ready_.front().batch.status();
  StatusOr<Batch> batch = std::move(ready_.front().batch);
  position_ = ready_.front().after;
  ready_.pop_front();
  lock.unlock();
  changed_.notify_all();
  return batch;
}

void PrefetchingLoader::runThread(DataPosition position) {
  bool prepared = false;
  for (uint64_t index = 0;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || ready_.size() < kDepth || !prepared; });
      if (stop_)
        return;
      if (ready_.size() == kDepth) {
        lock.unlock();
        source_->prepare(position);
        prepared = true;
        continue;
      }
    }
    StatusOr<Batch> batch = source_->load(plan_(index), position);
    bool failed = !batch.isOk();
    {
      std::lock_guard lock(mutex_);
      ready_.push_back({std::move(batch), position});
    }
    changed_.notify_all();
    if (failed)
      return; // Nothing comes after it.
    ++index;
    prepared = false;
  }
}

} // namespace smelt::runtime
