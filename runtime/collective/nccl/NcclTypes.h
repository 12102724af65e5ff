//===- NcclTypes.h - The part of NCCL's ABI in use --------------*- C++ -*-===//
//
// Declared here, from NCCL's public documentation, so that a machine without NCCL builds GPU ranks
// too. Values are part of NCCL's stable ABI.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <climits>
#include <cstddef>

namespace smelt::runtime::nccl {

using Result = int; // ncclResult_t
inline constexpr Result kSuccess = 0, kInProgress = 7;

using Communicator = struct OpaqueCommunicator *;

/// ncclUniqueId.
struct UniqueId {
  char bytes[128] = {};
};

// ncclDataType_t.
inline constexpr int kUint8 = 1, kFloat32 = 7, kFloat64 = 8, kBfloat16 = 9;
inline constexpr int kSum = 0; // ncclRedOp_t

inline constexpr int kUndefined = INT_MIN;
inline constexpr unsigned kConfigVersion = 21800; ///< Of the fields below, and the least we take.

/// ncclConfig_t as of 2.18; a later library fills in what it has beyond.
struct Config {
  size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef;
  unsigned version = kConfigVersion;
  int blocking = kUndefined;
  int clusterSize = kUndefined;
  int minBlocks = kUndefined;
  int maxBlocks = kUndefined;
  const char *network = nullptr;
  int splitShare = kUndefined;
  int afterwards = kUndefined; ///< 2.18 has padding here, later versions another field.
};

} // namespace smelt::runtime::nccl
