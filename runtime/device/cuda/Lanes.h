//===- Lanes.h - The two lanes of a program on two streams ------*- C++ -*-===//
#pragma once

#include "runtime/device/cuda/Handles.h"

#include <algorithm>
#include <span>
#include <vector>

namespace smelt::runtime::cuda {

/// Starts the entries of one program in order (ProgramEntry.h): launches on the main stream,
/// collectives on the other, with an event for each fork and join. Under capture as well as not.
class Lanes {
public:
  Lanes(const Driver &driver, Stream main, Stream communication)
      : driver_(driver), main_(main), communication_(communication) {}

  /// The main lane waits for collectives of the other.
  Status wait(std::span<const uint32_t> collectives) {
    for (uint32_t number : collectives) {
      if (number >= ended_.size())
        return internalError("an entry waits for collective ", number, ", which comes later");
      SMELT_RETURN_IF_ERROR(wait(main_, ended_[number].get()));
      joined_ = std::max(joined_, size_t(number) + 1);
    }
    return Status::ok();
  }

  /// `start` puts the collective's work into the stream that it gets.
  template <typename Start> Status startCollective(bool onLane, Start start) {
    SMELT_ASSIGN_OR_RETURN(OwnedEvent fork, record(main_));
    SMELT_RETURN_IF_ERROR(wait(communication_, fork.get()));
    forks_.push_back(std::move(fork));
    SMELT_RETURN_IF_ERROR(start(communication_));
    SMELT_ASSIGN_OR_RETURN(OwnedEvent ended, record(communication_));
    ended_.push_back(std::move(ended));
    return onLane ? Status::ok() : join();
  }

  /// The main lane waits for all collectives that were started.
  Status join() {
    if (joined_ == ended_.size())
      return Status::ok();
    joined_ = ended_.size();
    return wait(main_, ended_.back().get());
  }

private:
  StatusOr<OwnedEvent> record(Stream stream) {
    Event event = nullptr;
    SMELT_RETURN_IF_ERROR(
        driver_.check(driver_.eventCreate(&event, kEventDisableTiming), "cuEventCreate"));
    OwnedEvent owned(&driver_, event);
    SMELT_RETURN_IF_ERROR(driver_.check(driver_.eventRecord(event, stream), "cuEventRecord"));
    return owned;
  }
  Status wait(Stream stream, Event event) {
    return driver_.check(driver_.streamWaitEvent(stream, event, 0), "cuStreamWaitEvent");
  }

  const Driver &driver_;
  Stream main_, communication_;
  std::vector<OwnedEvent> forks_, ended_; ///< One per collective.
  size_t joined_ = 0;                     ///< So many of them the main lane has waited for.
};

} // namespace smelt::runtime::cuda
