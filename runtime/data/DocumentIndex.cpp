#include "runtime/data/DocumentIndex.h"

#include <algorithm>

namespace smelt::runtime {

namespace {
constexpr uint64_t kChunk = 1 << 16;
constexpr size_t kKeptScans = 2;
} // namespace

StatusOr<std::shared_ptr<const std::vector<uint64_t>>> DocumentIndex::starts(size_t shard) {
  for (const Scan &scan : scans_)
    if (scan.shard == shard)
      return scan.starts;
  auto starts = std::make_shared<std::vector<uint64_t>>();
  TokenRange range = stream_.shards()[shard];
  std::vector<int32_t> chunk;
  for (uint64_t first = range.first; first < range.last; first += kChunk) {
    chunk.resize(std::min(kChunk, range.last - first));
    SMELT_RETURN_IF_ERROR(stream_.read(first, chunk));
    for (size_t i = 0; i < chunk.size(); ++i)
      if (chunk[i] == startToken_)
        starts->push_back(first + i);
  }
  scans_.push_back({shard, starts});
  if (scans_.size() > kKeptScans)
    scans_.pop_front();
  return scans_.back().starts;
}

} // namespace smelt::runtime
