//===- Readbacks.h - Small copies out that nobody waits for -----*- C++ -*-===//
#pragma once

#include "runtime/device/cuda/Handles.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

namespace smelt::runtime::cuda {

/// Pinned blocks, one for each read that is under way.
class Readbacks {
public:
  struct Part {
    DevicePointer from = 0;
    size_t bytes = 0;
  };

  void create(const Driver &driver) { driver_ = &driver; }

  StatusOr<size_t> start(std::span<const Part> parts, Stream stream) {
    size_t bytes = 0;
    for (const Part &part : parts)
      bytes += part.bytes;
    SMELT_ASSIGN_OR_RETURN(size_t index, take(bytes));
    Block &block = blocks_[index];
    auto *to = static_cast<std::byte *>(block.memory.get());
    for (const Part &part : parts) {
      SMELT_RETURN_IF_ERROR(
          driver_->check(driver_->memcpyDtoHAsync(to, part.from, part.bytes, stream),
                         concat("cuMemcpyDtoHAsync(", part.bytes, " bytes)")));
      to += part.bytes;
    }
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventRecord(block.arrived.get(), stream), "cuEventRecord"));
    block.used = bytes;
    block.isBusy = true;
    return index;
  }

  Status finish(size_t index, std::span<std::byte> to) {
    if (index >= blocks_.size() || !blocks_[index].isBusy || blocks_[index].used != to.size())
      return internalError("no read ", index, " of ", to.size(), " bytes was started");
    Block &block = blocks_[index];
    block.isBusy = false;
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventSynchronize(block.arrived.get()), "cuEventSynchronize"));
    std::memcpy(to.data(), block.memory.get(), to.size());
    return Status::ok();
  }

private:
  struct Block {
    OwnedHostMemory memory;
    OwnedEvent arrived;
    size_t bytes = 0, used = 0;
    bool isBusy = false;
  };

  /// A free block of at least `bytes`; a new one if there is none.
  StatusOr<size_t> take(size_t bytes) {
    for (size_t i = 0; i < blocks_.size(); ++i)
      if (!blocks_[i].isBusy && blocks_[i].bytes >= bytes)
        return i;
    Block block;
    block.bytes = std::max<size_t>(bytes, 4096);
    void *memory = nullptr;
    SMELT_RETURN_IF_ERROR(driver_->check(driver_->memAllocHost(&memory, block.bytes),
                                         concat("cuMemAllocHost(", block.bytes, " bytes)")));
    block.memory = {driver_, memory};
    Event event = nullptr;
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventCreate(&event, kEventDisableTiming), "cuEventCreate"));
    block.arrived = {driver_, event};
    blocks_.push_back(std::move(block));
    return blocks_.size() - 1;
  }

  const Driver *driver_ = nullptr;
  std::vector<Block> blocks_;
};

} // namespace smelt::runtime::cuda
