//===- Staging.h - Copies through pinned memory -----------------*- C++ -*-===//
#pragma once

#include "runtime/device/cuda/Handles.h"

#include <array>
#include <cstring>
#include <span>

namespace smelt::runtime::cuda {

/// Two pinned blocks used in turns: while the copy engine reads one, the host fills the other. So a
/// copy in returns before the GPU has it, and the caller's memory is free.
class Staging {
public:
  static constexpr size_t kBytes = size_t(8) << 20;

  Status create(const Driver &driver) {
    for (Block &block : blocks_) {
      void *memory = nullptr;
      SMELT_RETURN_IF_ERROR(driver.check(driver.memAllocHost(&memory, kBytes),
                                         concat("cuMemAllocHost(", kBytes, ")")));
      block.memory = {&driver, memory};
      Event event = nullptr;
      SMELT_RETURN_IF_ERROR(
          driver.check(driver.eventCreate(&event, kEventDisableTiming), "cuEventCreate"));
      block.free = {&driver, event};
    }
    driver_ = &driver;
    return Status::ok();
  }

  Status copyIn(DevicePointer to, std::span<const std::byte> from, Stream stream) {
    while (!from.empty()) {
      size_t bytes = std::min(from.size(), kBytes);
      SMELT_ASSIGN_OR_RETURN(Block * block, take());
      std::memcpy(block->memory.get(), from.data(), bytes);
      SMELT_RETURN_IF_ERROR(
          driver_->check(driver_->memcpyHtoDAsync(to, block->memory.get(), bytes, stream),
                         concat("cuMemcpyHtoDAsync(", bytes, " bytes)")));
      SMELT_RETURN_IF_ERROR(
          driver_->check(driver_->eventRecord(block->free.get(), stream), "cuEventRecord"));
      from = from.subspan(bytes);
      to += bytes;
    }
    return Status::ok();
  }

  Status copyOut(std::span<std::byte> to, DevicePointer from, Stream stream) {
    while (!to.empty()) {
      size_t bytes = std::min(to.size(), kBytes);
      SMELT_ASSIGN_OR_RETURN(Block * block, take());
      SMELT_RETURN_IF_ERROR(
          driver_->check(driver_->memcpyDtoHAsync(block->memory.get(), from, bytes, stream),
                         concat("cuMemcpyDtoHAsync(", bytes, " bytes)")));
      SMELT_RETURN_IF_ERROR(
          driver_->check(driver_->streamSynchronize(stream), "cuStreamSynchronize"));
      std::memcpy(to.data(), block->memory.get(), bytes);
      to = to.subspan(bytes);
      from += bytes;
    }
    return Status::ok();
  }

private:
  struct Block {
    OwnedHostMemory memory;
    OwnedEvent free; ///< The last copy from the block is done.
  };

  /// The block that was used longest ago, once the GPU is done with it.
  StatusOr<Block *> take() {
    Block &block = blocks_[next_++ % blocks_.size()];
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventSynchronize(block.free.get()), "cuEventSynchronize"));
    return &block;
  }

  const Driver *driver_ = nullptr;
  std::array<Block, 2> blocks_;
  size_t next_ = 0;
};

} // namespace smelt::runtime::cuda
