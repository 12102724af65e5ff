//===- EntryTimer.h - How long each entry of a program takes ----*- C++ -*-===//
#pragma once

#include "runtime/collective/StreamCollective.h"
#include "runtime/device/cuda/KernelModule.h"

#include <vector>

namespace smelt::runtime::cuda {

/// Keeps its events from one run to the next.
class EntryTimer {
public:
  EntryTimer() = default;
  explicit EntryTimer(const Driver &driver) : driver_(&driver) {}

  /// See Device::runTimedEntries; returns when all have ended.
  StatusOr<std::vector<LaunchTime>> run(const std::vector<DeviceEntry> &entries,
                                        KernelModule &module, DevicePointer arena,
                                        StreamCollective *collective, Stream main,
                                        Stream communication);

private:
  const Driver *driver_ = nullptr;
  std::vector<OwnedEvent> timers_; ///< Two for each part of each entry.
};

} // namespace smelt::runtime::cuda
