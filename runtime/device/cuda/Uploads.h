//===- Uploads.h - Copies in beside running programs ------------*- C++ -*-===//
#pragma once

#include "runtime/device/cuda/Handles.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <span>

namespace smelt::runtime::cuda {

/// A ring of pinned memory and one of the same size on the GPU. Bytes go from the host's ring to
/// the GPU's on a stream of their own, while earlier programs run; the copy to where they belong is
/// then one within the GPU, in the order of the programs. The host waits only when the ring is full
/// of what the GPU has not taken yet.
class Uploads {
public:
  static constexpr size_t kBytes = size_t(8) << 20;

  struct Part {
    DevicePointer to = 0;
    std::span<const std::byte> from;
  };

  static size_t spaceFor(std::span<const Part> parts) {
    size_t bytes = 0;
    for (const Part &part : parts)
      bytes += padded(part.from.size());
    return bytes;
  }
  /// Two of them in flight, and one being filled.
  static bool fits(std::span<const Part> parts) { return spaceFor(parts) <= kBytes / 3; }

  Status create(const Driver &driver) {
    driver_ = &driver;
    void *memory = nullptr;
    SMELT_RETURN_IF_ERROR(driver.check(driver.memAllocHost(&memory, kBytes),
                                       concat("cuMemAllocHost(", kBytes, " bytes)")));
    host_ = {&driver, memory};
    DevicePointer mirror = 0;
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.memAlloc(&mirror, kBytes), concat("cuMemAlloc(", kBytes, " bytes)")));
    device_ = {&driver, mirror};
    Stream stream = nullptr;
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.streamCreate(&stream, kStreamNonBlocking), "cuStreamCreate"));
    stream_ = {&driver, stream};
    SMELT_ASSIGN_OR_RETURN(arrived_, makeEvent());
    return Status::ok();
  }

  /// Copies `parts`, which fit, in the order of `stream`.
  Status copy(std::span<const Part> parts, Stream stream) {
    size_t bytes = spaceFor(parts);
    SMELT_ASSIGN_OR_RETURN(Use use, take(bytes));
    auto *host = static_cast<std::byte *>(host_.get()) + use.begin;
    DevicePointer device = device_.get() + use.begin;
    size_t at = 0;
    for (const Part &part : parts) {
      std::memcpy(host + at, part.from.data(), part.from.size());
      at += padded(part.from.size());
    }
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->memcpyHtoDAsync(device, host, bytes, stream_.get()),
                       concat("cuMemcpyHtoDAsync(", bytes, " bytes)")));
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventRecord(arrived_.get(), stream_.get()), "cuEventRecord"));
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->streamWaitEvent(stream, arrived_.get(), 0), "cuStreamWaitEvent"));
    at = 0;
    for (const Part &part : parts) {
      SMELT_RETURN_IF_ERROR(
          driver_->check(driver_->memcpyDtoDAsync(part.to, device + at, part.from.size(), stream),
                         concat("cuMemcpyDtoDAsync(", part.from.size(), " bytes)")));
      at += padded(part.from.size());
    }
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventRecord(use.done.get(), stream), "cuEventRecord"));
    uses_.push_back(std::move(use));
    return Status::ok();
  }

private:
  /// A part of the ring that the GPU may still read.
  struct Use {
    size_t begin = 0, end = 0;
    OwnedEvent done;
  };

  static size_t padded(size_t bytes) { return (bytes + 15) / 16 * 16; }

  StatusOr<OwnedEvent> makeEvent() {
    Event event = nullptr;
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventCreate(&event, kEventDisableTiming), "cuEventCreate"));
    return OwnedEvent(driver_, event);
  }

  /// The next `bytes` of the ring, once nothing reads them; the oldest uses are the next in the
  /// way.
  StatusOr<Use> take(size_t bytes) {
    size_t begin = next_ + bytes <= kBytes ? next_ : 0;
    auto isInTheWay = [&](const Use &use) { return use.begin < begin + bytes && begin < use.end; };
    OwnedEvent event;
    while (std::any_of(uses_.begin(), uses_.end(), isInTheWay)) {
      SMELT_RETURN_IF_ERROR(driver_->check(driver_->eventSynchronize(uses_.front().done.get()),
                                           "cuEventSynchronize"));
      event = std::move(uses_.front().done);
      uses_.pop_front();
    }
    if (!event) {
      SMELT_ASSIGN_OR_RETURN(event, makeEvent());
    }
    next_ = begin + bytes;
    return Use{begin, begin + bytes, std::move(event)};
  }

  const Driver *driver_ = nullptr;
  OwnedHostMemory host_;
  OwnedMemory device_;
  OwnedStream stream_;
  OwnedEvent arrived_;
  std::deque<Use> uses_;
  size_t next_ = 0;
};

} // namespace smelt::runtime::cuda
