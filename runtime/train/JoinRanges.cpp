//===- JoinRanges.cpp - Buffers of one message ----------------------------===//
#include "runtime/train/JoinRanges.h"

#include <algorithm>

namespace smelt::runtime {

namespace {
constexpr uint64_t kGap = 256, kVector = 16;

uint64_t endOf(const DeviceRange &range) { return range.offset + range.bytes; }

/// Does any buffer of the arena have one of these bytes?
bool isTaken(const Manifest &manifest, uint64_t begin, uint64_t end) {
  return end > manifest.arenaBytes ||
         std::any_of(manifest.buffers.begin(), manifest.buffers.end(), [&](const Buffer &buffer) {
           uint64_t bytes = std::max(buffer.bytes, *shapeBytes(buffer.shape, buffer.dtype));
           return buffer.offset < end && buffer.offset + bytes > begin;
         });
}
} // namespace

std::vector<DeviceRange> joinRanges(const Manifest &manifest,
                                    const std::vector<uint32_t> &buffers) {
  std::vector<DeviceRange> all;
  for (uint32_t index : buffers) {
    const Buffer &buffer = manifest.buffers[index];
    all.push_back({buffer.offset, *shapeBytes(buffer.shape, buffer.dtype)});
  }
  std::sort(all.begin(), all.end(),
            [](const DeviceRange &a, const DeviceRange &b) { return a.offset < b.offset; });
  std::vector<DeviceRange> ranges;
  for (const DeviceRange &each : all) {
    uint64_t end = ranges.empty() ? 0 : endOf(ranges.back());
    if (!ranges.empty() && each.offset >= end && each.offset - end < kGap &&
        (each.offset == end || !isTaken(manifest, end, each.offset)))
      ranges.back().bytes = endOf(each) - ranges.back().offset;
    else
      ranges.push_back(each);
  }
  for (DeviceRange &range : ranges)
    if (uint64_t rest = range.bytes % kVector;
        rest && !isTaken(manifest, endOf(range), endOf(range) + kVector - rest))
      range.bytes += kVector - rest;
  return ranges;
}

} // namespace smelt::runtime
