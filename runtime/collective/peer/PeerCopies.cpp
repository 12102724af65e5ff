//===- PeerCopies.cpp - What goes into the streams ------------------------===//
//
// A collective is: I am ready; all are ready; my copies into the others' memory, side by side; I am
// done; all are done (and, where something is added, the sum). Rank r has two words for each other
// rank p, Ready[p] and Done[p]: only p writes 1, only r's stream waits for it and then writes 0.
//
// No 1 is lost, or taken for a later one, though graphs know no numbers: r takes Ready[p] back
// before it writes its Done to p, and p writes the next Ready only after it has waited for that
// Done. r takes Done[p] back before its next Ready to p, and p writes the next Done only after it
// has waited for that Ready. So each word is 0 when it is written, on any number of ranks, and the
// next collective may be in a graph or not: both do the same.
//
// Copies: p writes into r's memory only between r's Ready and p's Done, and r's stream is in that
// collective all the while, so what it did before has ended and what comes after has not begun.
// A write of a word comes after all that its stream wrote before, for the whole system: that is the
// fence which a write has unless it is told otherwise.
//
// Nobody waits in a circle: a rank writes all its Ready before it waits for any, and all Done
// before it waits for any; all ranks have their collectives, NCCL's too, in one order on one
// stream.
//
//===----------------------------------------------------------------------===//
#include "runtime/collective/peer/PeerCopies.h"

namespace smelt::runtime::peer {

namespace {
constexpr uint64_t kWordStride = 128; ///< No two in one line of any cache.
} // namespace

cuda::DevicePointer PeerCopies::wordOf(cuda::DevicePointer base, Word word, int writer) const {
  auto index = 2 * static_cast<uint64_t>(writer) + static_cast<uint64_t>(word);
  return base + wordsAt_ + kWordStride * index;
}

Status PeerCopies::meet(Word word, cuda::Stream stream) {
  std::vector<cuda::WordOperation> operations;
  for (int step = 1; step < peers_.size(); ++step)
    operations.push_back({cuda::kWordWrite, wordOf(mapped_[peerOf(step)], word, peers_.rank()), 1});
  for (int step = 1; step < peers_.size(); ++step)
    operations.push_back({cuda::kWordWait, wordOf(base_, word, peerOf(step)), 1, cuda::kWordEqual});
  for (int step = 1; step < peers_.size(); ++step)
    operations.push_back({cuda::kWordWrite, wordOf(base_, word, peerOf(step)), 0});
  return driver_.check(driver_.streamBatchMemOp(stream, static_cast<unsigned>(operations.size()),
                                                operations.data(), 0),
                       "cuStreamBatchMemOp");
}

/// Parts of `part` bytes that follow each other in the arena, one for each rank, or (all-reduce)
/// one that is everybody's. What is to be added comes to rank r at `beside`, in order, without r's
/// own.
struct PeerCopies::Range {
  uint64_t at, part, beside;
};

std::vector<PeerCopies::Range> PeerCopies::rangesOf(const DeviceCollective &collective) const {
  auto ranks = static_cast<uint64_t>(peers_.size());
  uint64_t parts = collective.kind == CollectiveKind::AllReduce ? 1 : ranks, beside = besideAt_;
  std::vector<Range> ranges;
  for (const DeviceRange &buffer : collective.buffers) {
    uint64_t part = buffer.bytes / parts;
    ranges.push_back({buffer.offset, part, beside});
    beside += (ranks - 1) * part;
  }
  return ranges;
}

/// A gather: my part, where it is in the arena. A sum: the peer's part, or the only one, beside the
/// peer's arena.
Status PeerCopies::copyTo(int peer, const DeviceCollective &collective, cuda::Stream stream) {
  auto rank = static_cast<uint64_t>(peers_.rank()), to = static_cast<uint64_t>(peer);
  for (const Range &range : rangesOf(collective)) {
    uint64_t number = collective.kind == CollectiveKind::AllGather   ? rank
                      : collective.kind == CollectiveKind::AllReduce ? 0
                                                                     : to;
    uint64_t from = range.at + number * range.part;
    uint64_t at = collective.kind == CollectiveKind::AllGather
                      ? from
                      : range.beside + (rank - (rank > to)) * range.part;
    if (range.part)
      SMELT_RETURN_IF_ERROR(
          driver_.check(driver_.memcpyDtoDAsync(mapped_[to] + at, base_ + from, range.part, stream),
                        "cuMemcpyDtoDAsync"));
  }
  return Status::ok();
}

Status PeerCopies::addParts(const DeviceCollective &collective, cuda::Stream stream) {
  auto rank = static_cast<uint64_t>(peers_.rank());
  for (const Range &range : rangesOf(collective)) {
    uint64_t own = collective.kind == CollectiveKind::AllReduce ? 0 : rank * range.part;
    SMELT_RETURN_IF_ERROR(
        sums_.add(collective.type, base_ + range.beside, static_cast<unsigned>(peers_.size()),
                  static_cast<unsigned>(rank), base_ + range.at + own, range.part, stream));
  }
  return Status::ok();
}

bool PeerCopies::takes(const DeviceCollective &collective, uint64_t arena) const {
  if (!base_ || arena != base_)
    return false;
  if (collective.kind == CollectiveKind::AllGather)
    return true;
  bool isReduce = collective.kind == CollectiveKind::AllReduce;
  auto ranks = static_cast<uint64_t>(peers_.size());
  uint64_t bytes = 0;
  bool isWhole = PartSums::has(collective.type); // Vectors.
  for (const DeviceRange &buffer : collective.buffers) {
    bytes += buffer.bytes / (isReduce ? 1 : ranks);
    isWhole &= buffer.offset % PartSums::kVector == 0 &&
               buffer.bytes % ((isReduce ? 1 : ranks) * PartSums::kVector) == 0;
  }
  return isWhole && (!isReduce || bytes <= kMostToReduce) && (ranks - 1) * bytes <= besideBytes_;
}

Status PeerCopies::start(const DeviceCollective &collective, cuda::Stream stream) {
  auto record = [&](cuda::Event event, cuda::Stream from) {
    return driver_.check(driver_.eventRecord(event, from), "cuEventRecord");
  };
  auto wait = [&](cuda::Stream on, cuda::Event event) {
    return driver_.check(driver_.streamWaitEvent(on, event, 0), "cuStreamWaitEvent");
  };
  SMELT_RETURN_IF_ERROR(meet(Word::Ready, stream));
  if (!streams_.empty())
    SMELT_RETURN_IF_ERROR(record(events_[0].get(), stream));
  for (size_t i = 0; i < streams_.size(); ++i) {
    cuda::Stream side = streams_[i].get();
    SMELT_RETURN_IF_ERROR(wait(side, events_[0].get()));
    SMELT_RETURN_IF_ERROR(copyTo(peerOf(static_cast<int>(i) + 2), collective, side));
    SMELT_RETURN_IF_ERROR(record(events_[i + 1].get(), side));
  }
  SMELT_RETURN_IF_ERROR(copyTo(peerOf(1), collective, stream));
  for (size_t i = 0; i < streams_.size(); ++i)
    SMELT_RETURN_IF_ERROR(wait(stream, events_[i + 1].get()));
  SMELT_RETURN_IF_ERROR(meet(Word::Done, stream));
  return collective.kind == CollectiveKind::AllGather ? Status::ok() : addParts(collective, stream);
}

} // namespace smelt::runtime::peer
