//===- ProgramEntry.h - Launches and collectives of a program ---*- C++ -*-===//
//
// What a program is made of once its buffers have places in the arena. A program has one main lane,
// where launches and collectives run in order, and a communication lane beside it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/DType.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace smelt::runtime {

/// A range of the arena.
struct DeviceRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

/// One launch: a kernel and the arena offsets of its arguments.
struct DeviceLaunch {
  uint32_t kernel = 0;
  std::vector<uint64_t> offsets;
};

/// With N ranks, part r of a buffer is its r-th N-th. All work in place.
enum class CollectiveKind {
  AllReduce,     ///< The buffer becomes its sum over all ranks.
  ReduceScatter, ///< Part r becomes that part's sum on rank r; the rest is undefined afterwards.
  AllGather,     ///< Part r becomes on every rank what it is on rank r.
};

/// One message between all ranks.
struct DeviceCollective {
  CollectiveKind kind = CollectiveKind::AllReduce;
  DType type = DType::F32;
  std::vector<DeviceRange> buffers;
};

/// A launch, or a collective instead of it.
struct DeviceEntry {
  DeviceLaunch launch;
  std::optional<DeviceCollective> collective = {};
  /// The collective begins when all entries before it on the main lane and all collectives before
  /// it on the communication lane have ended; the entries after it do not wait for it.
  bool onLane = false;
  /// Collectives of the communication lane that must have ended before this entry (of the main
  /// lane): their numbers among the program's collectives, from 0. The end of a program waits for
  /// all of them.
  std::vector<uint32_t> wait = {};
};

} // namespace smelt::runtime
