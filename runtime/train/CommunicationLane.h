//===- CommunicationLane.h - A thread for collectives -----------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace smelt::runtime {

/// Runs what it is given, one after the other, beside the thread that gives it.
class CommunicationLane {
public:
  using Clock = std::chrono::steady_clock;
  struct Times {
    Clock::time_point given, begin, end;
  };

  /// `enter` runs first on the thread.
  explicit CommunicationLane(std::function<void()> enter);
  /// What has not begun is dropped; what runs is waited for.
  ~CommunicationLane();

  /// Returns its number: 1, 2 … After a failure nothing more runs.
  size_t start(std::function<Status()> work);
  /// Returns when `number` has ended, with the first failure until then.
  Status waitFor(size_t number);
  Status waitForAll();
  bool hasEnded(size_t number);
  /// When `number`, one of the last 1024 that have ended, was given and ran.
  Times timesOf(size_t number);

private:
  void run(const std::function<void()> &enter);

  std::mutex mutex_;
  std::condition_variable changed_;
  struct Work {
    std::function<Status()> run;
    Clock::time_point given;
  };
  std::deque<Work> queue_;
  std::map<size_t, Times> times_;
  size_t started_ = 0, ended_ = 0;
  Status failure_;
  bool stop_ = false;
  std::thread thread_;
};

} // namespace smelt::runtime
