#include "runtime/train/CommunicationLane.h"

namespace smelt::runtime {

CommunicationLane::CommunicationLane(std::function<void()> enter)
    : thread_([this, enter = std::move(enter)] { run(enter); }) {}

CommunicationLane::~CommunicationLane() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

size_t CommunicationLane::start(std::function<Status()> work) {
  size_t number = 0;
  {
    std::lock_guard lock(mutex_);
    queue_.push_back({std::move(work), Clock::now()});
    number = ++started_;
  }
  changed_.notify_all();
  return number;
}

Status CommunicationLane::waitFor(size_t number) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_ >= number || !failure_.isOk(); });
  return failure_;
}

Status CommunicationLane::waitForAll() {
  size_t number = 0;
  {
    std::lock_guard lock(mutex_);
    number = started_;
  }
  return waitFor(number);
}

bool CommunicationLane::hasEnded(size_t number) {
  std::lock_guard lock(mutex_);
  return ended_ >= number;
}

CommunicationLane::Times CommunicationLane::timesOf(size_t number) {
  std::lock_guard lock(mutex_);
  return times_[number];
}

void CommunicationLane::run(const std::function<void()> &enter) {
  enter();
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || (!queue_.empty() && failure_.isOk()); });
    if (stop_)
      return;
    Work work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    Times times{work.given, Clock::now(), {}};
    Status status = work.run();
    times.end = Clock::now();
    lock.lock();
    constexpr size_t kKept = 1024;
    times_[++ended_] = times;
    if (times_.size() > kKept)
      times_.erase(times_.begin());
    failure_ = status;
    changed_.notify_all();
  }
}

} // namespace smelt::runtime
