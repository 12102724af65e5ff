//===- DriverTypes.h - The part of the CUDA driver's ABI in use -*- C++ -*-===//
//
// Declared here, from the driver API's public documentation, so that a machine without the toolkit
// builds the CUDA device too. Values are part of the driver's stable ABI.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <cstdint>

namespace smelt::runtime::cuda {

using Result = int; // CUresult
inline constexpr Result kSuccess = 0, kOutOfMemory = 2, kNoBinaryForGpu = 209, kNotReady = 600;

using DeviceHandle = int;
using DevicePointer = unsigned long long;
using Context = struct OpaqueContext *;
using Module = struct OpaqueModule *;
using Function = struct OpaqueFunction *;
using Stream = struct OpaqueStream *;
using Event = struct OpaqueEvent *;
using Graph = struct OpaqueGraph *;
using GraphExec = struct OpaqueGraphExec *;

/// CUuuid.
struct DeviceUuid {
  unsigned char bytes[16] = {};
};

/// CUtensorMap.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

/// CUipcMemHandle: memory of one process for others of the machine.
struct IpcMemory {
  char opaque[64] = {};
};
inline constexpr unsigned kIpcEnablePeers = 1; ///< On another GPU too.

/// CUstreamBatchMemOpParams: a stream waits for a word, or writes one.
struct WordOperation {
  int what = 0;
  DevicePointer word = 0;
  uint64_t value = 0;
  unsigned flags = 0;
  DevicePointer alias = 0; ///< The driver's.
  uint64_t padding = 0;
};
static_assert(sizeof(IpcMemory) == 64 && sizeof(WordOperation) == 48);
inline constexpr int kWordWait = 1, kWordWrite = 2;
inline constexpr unsigned kWordEqual = 1; ///< What it waits for.

inline constexpr unsigned kStreamNonBlocking = 1, kEventDisableTiming = 2;
inline constexpr int kCaptureThreadLocal = 1;
inline constexpr int kAttributeMajor = 75, kAttributeMinor = 76, kAttributeMultiprocessors = 16;
inline constexpr int kFunctionMaxDynamicShared = 8;
inline constexpr int kJitInfoLogBuffer = 3, kJitInfoLogBytes = 4, kJitErrorLogBuffer = 5,
                     kJitErrorLogBytes = 6;

// CUtensorMapDataType.
inline constexpr int kMapUint8 = 0, kMapInt32 = 3, kMapFloat16 = 6, kMapFloat32 = 7,
                     kMapBfloat16 = 9;

} // namespace smelt::runtime::cuda
