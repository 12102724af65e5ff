//===- NcclWindows.h - An arena that all ranks of a host map ----*- C++ -*-===//
//
// What NCCL 2.28 does with memory that all ranks have registered as a symmetric window: all-gathers
// by copy engines, which take no multiprocessors, and sums that read the other ranks' memory with
// few blocks. Windows belong to a communicator of their own, so that what is refused, or does not
// work, leaves the other one as it is, and so that what lies elsewhere never goes this way.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/collective/nccl/NcclCommunicator.h"
#include "runtime/collective/nccl/PartSums.h"
#include "runtime/device/ProgramEntry.h"
#include "runtime/device/cuda/Handles.h"

#include <memory>
#include <span>

namespace smelt::runtime::nccl {

/// What goes by windows: SMELT_NCCL_WINDOWS of rank 0; unless set `Copies` for two ranks, `Off` for
/// more.
enum class WindowUse {
  Off,     ///< "0".
  Gathers, ///< "gathers": all-gathers, by copy engines.
  Copies,  ///< "copies": and reduce-scatters: parts by copy engines, added by a kernel of ours.
  Kernels, ///< "kernels": all-gathers and sums, by NCCL's symmetric kernels.
  All,     ///< "all": all-gathers by copy engines, sums by kernels.
};

class Windows {
public:
  Windows(const Library &library, const cuda::Driver &driver, Peers &peers)
      : library_(library), driver_(driver), peers_(peers), communicator_(library, peers) {}

  /// Memory for an arena, in a window; empty where rank 0 does not want it or a rank cannot have
  /// it, which a note says. All ranks call it, once. `largestSum`: bytes of the largest message
  /// that will be reduced and scattered; others do not go this way.
  StatusOr<std::shared_ptr<void>> share(uint64_t bytes, uint64_t largestSum, int blocks,
                                        std::chrono::milliseconds patience, cuda::Stream stream);
  /// Does the collective go by windows? Then `communicator` does it, or `addCopies`.
  bool takes(const DeviceCollective &collective, uint64_t arena) const;
  /// Is it a reduce-scatter that copy engines and a kernel do?
  bool addsCopies(const DeviceCollective &collective) const {
    return use_ == WindowUse::Copies && collective.kind == CollectiveKind::ReduceScatter;
  }
  /// Puts it into `stream`: copy engines bring every rank's part of the sum beside the arena, then
  /// a kernel adds them in order of ranks.
  Status addCopies(const DeviceCollective &collective, uint64_t arena, void *stream);
  CommunicatorOwner &communicator() { return communicator_; }
  bool areThere() const { return memory_ != nullptr; }

private:
  StatusOr<std::string> askAll(const char *stage, const std::string &own);
  StatusOr<std::string> allocate(uint64_t bytes);
  Status connect(uint64_t bytes, int blocks, cuda::Stream stream);
  Status tryGather(unsigned char add, cuda::Stream stream);
  Status trySums(cuda::Stream stream);
  Status read(std::span<std::byte> to, size_t at, cuda::Stream stream);

  const Library &library_;
  const cuda::Driver &driver_;
  Peers &peers_;
  WindowUse use_ = WindowUse::Off;
  std::chrono::milliseconds patience_{0};
  bool isStuck_ = false;         ///< Work in the stream does not end.
  std::shared_ptr<void> memory_; ///< Goes after the communicator.
  uint64_t besideAt_ = 0, besideBytes_ = 0; ///< Behind the arena: parts that are to be added.
  PartSums sums_;
  size_t part_ = 0;              ///< Of a rank, in trials.
  CommunicatorOwner communicator_;
};

} // namespace smelt::runtime::nccl
