//===- SessionCollectives.cpp - What a program says to other ranks --------===//
//
// The buffers of a collective go as one message, through host memory.
//
//===----------------------------------------------------------------------===//
#include "runtime/train/Session.h"

#include <algorithm>

namespace smelt::runtime {

namespace {
/// The bytes of a collective's buffers that ranks exchange.
uint64_t messageBytes(const CollectiveStep &step, const Buffer &buffer) {
  return step.kind == CollectiveKind::AllReduce ? *shapeBytes(buffer.shape, buffer.dtype)
                                                : buffer.bytes;
}
} // namespace

Status Session::runCollective(const CollectiveStep &step) {
  if (!ranks_)
    return internalError("a collective without ranks");
  if (fixedOrder_ && step.kind != CollectiveKind::AllGather)
    return Status::ok();
  switch (step.kind) {
  case CollectiveKind::AllReduce:
    return runAllReduce(step);
  case CollectiveKind::ReduceScatter:
    return runReduceScatter(step);
  case CollectiveKind::AllGather:
    return runAllGather(step);
  }
  return internalError("an unknown collective");
}

Status Session::runAllReduce(const CollectiveStep &step) {
  std::vector<std::byte> bucket;
  auto forEach = [&](auto act) -> Status {
    size_t at = 0;
    for (uint32_t index : step.buffers) {
      const Buffer &buffer = manifest().buffers[index];
      size_t bytes = messageBytes(step, buffer);
      SMELT_RETURN_IF_ERROR(act(buffer, at, bytes));
      at += bytes;
    }
    return Status::ok();
  };
  SMELT_RETURN_IF_ERROR(forEach([&](const Buffer &buffer, size_t at, size_t bytes) {
    bucket.resize(at + bytes);
    return device_->copyOut(buffer.offset, std::span(bucket).subspan(at));
  }));
  SMELT_RETURN_IF_ERROR(ranks_->sum(bucket, manifest().buffers[step.buffers[0]].dtype));
  return forEach([&](const Buffer &buffer, size_t at, size_t bytes) {
    return device_->copyIn(buffer.offset, std::span(bucket).subspan(at, bytes));
  });
}

/// `act` on every buffer's part of `rank`: the part's place in the arena and in a message that has,
/// rank by rank, the parts of all buffers.
template <typename Act>
static Status forEachPart(const Manifest &manifest, const CollectiveStep &step, uint64_t size,
                          uint64_t rank, Act act) {
  uint64_t perRank = 0;
  for (uint32_t index : step.buffers)
    perRank += manifest.buffers[index].bytes / size;
  uint64_t at = rank * perRank;
  for (uint32_t index : step.buffers) {
    const Buffer &buffer = manifest.buffers[index];
    uint64_t part = buffer.bytes / size;
    SMELT_RETURN_IF_ERROR(act(buffer.offset + rank * part, at, part));
    at += part;
  }
  return Status::ok();
}

static uint64_t totalBytes(const Manifest &manifest, const CollectiveStep &step) {
  uint64_t bytes = 0;
  for (uint32_t index : step.buffers)
    bytes += manifest.buffers[index].bytes;
  return bytes;
}

Status Session::runReduceScatter(const CollectiveStep &step) {
  auto size = static_cast<uint64_t>(ranks_->size()), own = static_cast<uint64_t>(ranks_->rank());
  std::vector<std::byte> all(totalBytes(manifest(), step)), sum(all.size() / size);
  for (uint64_t rank = 0; rank < size; ++rank)
    SMELT_RETURN_IF_ERROR(forEachPart(
        manifest(), step, size, rank, [&](uint64_t offset, uint64_t at, uint64_t bytes) {
          return device_->copyOut(offset, std::span(all).subspan(at, bytes));
        }));
  DType type = manifest().buffers[step.buffers[0]].dtype;
  SMELT_RETURN_IF_ERROR(ranks_->reduceScatter(all, sum, type));
  return forEachPart(manifest(), step, size, own, [&](uint64_t offset, uint64_t at, uint64_t bytes) {
    return device_->copyIn(offset, std::span(sum).subspan(at - own * sum.size(), bytes));
  });
}

Status Session::runAllGather(const CollectiveStep &step) {
  auto size = static_cast<uint64_t>(ranks_->size()), own = static_cast<uint64_t>(ranks_->rank());
  std::vector<std::byte> all(totalBytes(manifest(), step)), mine(all.size() / size);
  SMELT_RETURN_IF_ERROR(forEachPart(
      manifest(), step, size, own, [&](uint64_t offset, uint64_t at, uint64_t bytes) {
        return device_->copyOut(offset, std::span(mine).subspan(at - own * mine.size(), bytes));
      }));
  SMELT_RETURN_IF_ERROR(ranks_->allGather(mine, all));
  for (uint64_t rank = 0; rank < size; ++rank)
    if (rank != own)
      SMELT_RETURN_IF_ERROR(forEachPart(
          manifest(), step, size, rank, [&](uint64_t offset, uint64_t at, uint64_t bytes) {
            return device_->copyIn(offset, std::span(all).subspan(at, bytes));
          }));
  return Status::ok();
}

/// Behind the rows of a tensor, its parts are zero from the beginning.
Status Session::clearPadding() {
  constexpr uint64_t kChunk = uint64_t(1) << 24;
  std::set<uint32_t> padded;
  for (const Program &program : manifest().programs)
    for (const CollectiveStep &step : program.collectives)
      if (step.kind != CollectiveKind::AllReduce)
        padded.insert(step.buffers.begin(), step.buffers.end());
  for (uint32_t index : padded) {
    const Buffer &buffer = manifest().buffers[index];
    std::vector<std::byte> zeros(std::min(buffer.bytes, kChunk));
    for (uint64_t at = 0; at < buffer.bytes; at += kChunk)
      SMELT_RETURN_IF_ERROR(device_->copyIn(
          buffer.offset + at, std::span(zeros).first(std::min(buffer.bytes - at, kChunk))));
  }
  return Status::ok();
}

} // namespace smelt::runtime
