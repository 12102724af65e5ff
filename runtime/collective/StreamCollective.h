//===- StreamCollective.h - Collectives on a GPU's memory -------*- C++ -*-===//
#pragma once

#include "runtime/collective/Collective.h"
#include "runtime/device/ProgramEntry.h"

namespace smelt::runtime {

/// Collectives as work of a stream, in place in an arena, beside those of the interface on host
/// memory. All but `abort` is called by the thread that made it.
class StreamCollective : public Collective {
public:
  /// Memory for an arena of `bytes`, as these collectives like it best; empty where that is none in
  /// particular. `largestSum`: as Device's. All ranks call it, once, with the same numbers.
  virtual StatusOr<std::shared_ptr<void>> allocateArena(uint64_t /*bytes*/,
                                                        uint64_t /*largestSum*/) {
    return std::shared_ptr<void>();
  }
  /// Puts the collective into `stream` (the driver's; perhaps under capture), its buffers at
  /// `arena`. Nobody waits.
  virtual Status start(const DeviceCollective &collective, uint64_t arena, void *stream) = 0;
  /// The same for ranges that become what they are on rank `root`.
  virtual Status startBroadcast(std::span<const DeviceRange> ranges, int root, uint64_t arena,
                                void *stream) = 0;
  /// What the library has found out beside the calls, on threads of its own.
  virtual Status check() = 0;
  /// Ends what is under way, from any thread; whatever it was to write is garbage from then on, and
  /// every later call fails. Returns only once no captured graph with its work is left.
  virtual void abort() = 0;
};

} // namespace smelt::runtime
