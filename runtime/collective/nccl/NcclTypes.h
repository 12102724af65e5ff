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

// Memory of all ranks that each rank maps (2.28).
using Window = struct OpaqueWindow *;             // ncclWindow_t
inline constexpr int kSymmetric = 1;              // NCCL_WIN_COLL_SYMMETRIC
inline constexpr int kPolicyZero = 2;             // NCCL_CTA_POLICY_ZERO
inline constexpr unsigned kWindowVersion = 22800; ///< Of the fields below, and the least with them.

/// ncclConfig_t as of 2.28.
struct WindowConfig {
  Config common = {.size = sizeof(WindowConfig), .version = kWindowVersion};
  const char *name = nullptr;
  int collnet = kUndefined;
  int policy = kUndefined; ///< CTAPolicy: which collectives take multiprocessors.
  int shrinkShare = kUndefined;
  int multicastBlocks = kUndefined;
  int channelsPerPeer = kUndefined;
  int linkCentric = kUndefined;
};
static_assert(sizeof(Config) == 48 && sizeof(WindowConfig) == 80);

} // namespace smelt::runtime::nccl
