//===- PeerCopies.h - Collectives by copy engines ---------------*- C++ -*-===//
//
// All-gathers, reduce-scatters and small all-reduces of ranks of one host, which map each other's
// arenas (CUDA IPC): each rank copies its bytes into the others' memory, which takes no
// multiprocessors. Nothing of it is NCCL's; what does not go this way does not come here.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/collective/Peers.h"
#include "runtime/collective/peer/PartSums.h"
#include "runtime/device/ProgramEntry.h"

#include <memory>
#include <span>
#include <vector>

namespace smelt::runtime::peer {

class PeerCopies {
public:
  PeerCopies(const cuda::Driver &driver, Peers &peers) : driver_(driver), peers_(peers) {}
  PeerCopies(const PeerCopies &) = delete;
  /// Once nothing in any stream waits or copies any more. Meets the other ranks, with a limit.
  ~PeerCopies();

  /// Memory for an arena that all ranks map; empty where rank 0 does not want it (SMELT_COPIES) or
  /// a rank cannot have it, which a note says. All ranks call it, once. `largestSum`: bytes of the
  /// largest message that will be reduced and scattered; others do not go this way.
  StatusOr<std::shared_ptr<void>> share(uint64_t bytes, uint64_t largestSum,
                                        std::chrono::milliseconds patience, cuda::Stream stream);
  /// Does the collective go by copies? The same answer on all ranks.
  bool takes(const DeviceCollective &collective, uint64_t arena) const;
  /// Puts it into `stream`, perhaps under capture.
  Status start(const DeviceCollective &collective, cuda::Stream stream);

private:
  /// Of an all-reduce: every rank gets all of it from every other, and adds.
  static constexpr uint64_t kMostToReduce = uint64_t(256) << 10;

  /// What ranks tell each other: each word is written (1) by one rank, and waited for and taken
  /// back (0) by another.
  enum class Word {
    Ready, ///< The writer's memory may be written.
    Done,  ///< The writer has written the other's memory.
  };
  /// What a rank tells the others of its memory.
  struct Offer {
    cuda::IpcMemory memory;
    cuda::DeviceUuid gpu;
  };
  int peerOf(int step) const { return (peers_.rank() + step) % peers_.size(); }
  cuda::DevicePointer wordOf(cuda::DevicePointer base, Word word, int writer) const;
  /// Tells all others, and waits for all of them.
  Status meet(Word word, cuda::Stream stream);
  struct Range;
  std::vector<Range> rangesOf(const DeviceCollective &collective) const;
  Status copyTo(int peer, const DeviceCollective &collective, cuda::Stream stream);
  Status addParts(const DeviceCollective &collective, cuda::Stream stream);

  StatusOr<bool> agreeToCopy();
  StatusOr<std::string> askAll(const char *stage, const Status &status, const std::string &own);
  Status allocate(cuda::Stream stream);
  StatusOr<std::vector<Offer>> exchange();
  bool reaches(const cuda::DeviceUuid &gpu) const;
  Status map(std::span<const Offer> all, cuda::Stream stream);
  void unmap();
  Status tryThem(cuda::Stream stream);
  Status tryGather(unsigned char add, cuda::Stream stream);
  Status trySum(CollectiveKind kind, cuda::Stream stream);
  Status read(std::span<std::byte> to, uint64_t at, cuda::Stream stream);
  Status finish(cuda::Stream stream);

  const cuda::Driver &driver_;
  Peers &peers_;
  std::chrono::milliseconds patience_{0};
  bool isStuck_ = false;                    ///< Work in the stream does not end.
  uint64_t besideAt_ = 0, besideBytes_ = 0; ///< Behind the arena: parts that are to be added.
  uint64_t wordsAt_ = 0, bytes_ = 0;        ///< Behind them.
  uint64_t part_ = 0;                       ///< Of a rank, in trials.
  std::shared_ptr<void> memory_;
  std::shared_ptr<bool> mayFree_ = std::make_shared<bool>(); ///< No other rank maps it.
  cuda::DevicePointer base_ = 0;                             ///< The same; 0: no copies.
  std::vector<cuda::DevicePointer> mapped_;                  ///< By rank; 0 for one's own.
  PartSums sums_;
  /// For all peers but one, so that copies go side by side.
  std::vector<cuda::OwnedStream> streams_;
  std::vector<cuda::OwnedEvent> events_; ///< One to fork, and the end of each stream.
};

} // namespace smelt::runtime::peer
