//===- Driver.h - libcuda, opened at run time -------------------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"
#include "runtime/device/cuda/DriverTypes.h"

namespace smelt::runtime::cuda {

/// The driver's functions that the device calls. X(name of the member, symbol, parameters).
#define SMELT_CUDA_FUNCTIONS(X)                                                                    \
  X(init, "cuInit", (unsigned))                                                                    \
  X(getErrorName, "cuGetErrorName", (Result, const char **))                                       \
  X(getErrorString, "cuGetErrorString", (Result, const char **))                                   \
  X(driverGetVersion, "cuDriverGetVersion", (int *))                                               \
  X(deviceGetCount, "cuDeviceGetCount", (int *))                                                   \
  X(deviceGet, "cuDeviceGet", (DeviceHandle *, int))                                               \
  X(deviceGetName, "cuDeviceGetName", (char *, int, DeviceHandle))                                 \
  X(deviceGetUuid, "cuDeviceGetUuid_v2", (DeviceUuid *, DeviceHandle))                             \
  X(deviceGetAttribute, "cuDeviceGetAttribute", (int *, int, DeviceHandle))                        \
  X(primaryCtxRetain, "cuDevicePrimaryCtxRetain", (Context *, DeviceHandle))                       \
  X(primaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (DeviceHandle))                             \
  X(ctxSetCurrent, "cuCtxSetCurrent", (Context))                                                   \
  X(ctxSynchronize, "cuCtxSynchronize", ())                                                        \
  X(memGetInfo, "cuMemGetInfo_v2", (size_t *, size_t *))                                           \
  X(memAlloc, "cuMemAlloc_v2", (DevicePointer *, size_t))                                          \
  X(memFree, "cuMemFree_v2", (DevicePointer))                                                      \
  X(memAllocHost, "cuMemAllocHost_v2", (void **, size_t))                                          \
  X(memFreeHost, "cuMemFreeHost", (void *))                                                        \
  X(memsetD8Async, "cuMemsetD8Async", (DevicePointer, unsigned char, size_t, Stream))              \
  X(memsetD32Async, "cuMemsetD32Async", (DevicePointer, unsigned, size_t, Stream))                 \
  X(memcpyDtoDAsync, "cuMemcpyDtoDAsync_v2", (DevicePointer, DevicePointer, size_t, Stream))       \
  X(memcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", (DevicePointer, const void *, size_t, Stream))        \
  X(memcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", (void *, DevicePointer, size_t, Stream))              \
  X(streamCreate, "cuStreamCreate", (Stream *, unsigned))                                          \
  X(streamCreateWithPriority, "cuStreamCreateWithPriority", (Stream *, unsigned, int))             \
  X(streamDestroy, "cuStreamDestroy_v2", (Stream))                                                 \
  X(streamSynchronize, "cuStreamSynchronize", (Stream))                                            \
  X(streamQuery, "cuStreamQuery", (Stream))                                                        \
  X(streamWaitEvent, "cuStreamWaitEvent", (Stream, Event, unsigned))                               \
  X(streamBeginCapture, "cuStreamBeginCapture_v2", (Stream, int))                                  \
  X(streamEndCapture, "cuStreamEndCapture", (Stream, Graph *))                                     \
  X(graphInstantiate, "cuGraphInstantiateWithFlags", (GraphExec *, Graph, unsigned long long))     \
  X(graphDestroy, "cuGraphDestroy", (Graph))                                                       \
  X(graphExecDestroy, "cuGraphExecDestroy", (GraphExec))                                           \
  X(graphLaunch, "cuGraphLaunch", (GraphExec, Stream))                                             \
  X(eventCreate, "cuEventCreate", (Event *, unsigned))                                             \
  X(eventDestroy, "cuEventDestroy_v2", (Event))                                                    \
  X(eventRecord, "cuEventRecord", (Event, Stream))                                                 \
  X(eventSynchronize, "cuEventSynchronize", (Event))                                               \
  X(eventElapsedTime, "cuEventElapsedTime", (float *, Event, Event))                               \
  X(moduleLoadDataEx, "cuModuleLoadDataEx", (Module *, const void *, unsigned, int *, void **))    \
  X(moduleUnload, "cuModuleUnload", (Module))                                                      \
  X(moduleGetFunction, "cuModuleGetFunction", (Function *, Module, const char *))                  \
  X(funcSetAttribute, "cuFuncSetAttribute", (Function, int, int))                                  \
  X(launchKernel, "cuLaunchKernel",                                                                \
    (Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream,       \
     void **, void **))                                                                            \
  X(tensorMapEncodeTiled, "cuTensorMapEncodeTiled",                                                \
    (TensorMap *, int, uint32_t, void *, const uint64_t *, const uint64_t *, const uint32_t *,     \
     const uint32_t *, int, int, int, int))

/// The same for functions that a driver may lack: memory of other processes, words that streams
/// wait for (as of CUDA 11.7, the first that a graph may have).
#define SMELT_CUDA_PEER_FUNCTIONS(X)                                                               \
  X(ctxGetDevice, "cuCtxGetDevice", (DeviceHandle *))                                              \
  X(deviceCanAccessPeer, "cuDeviceCanAccessPeer", (int *, DeviceHandle, DeviceHandle))             \
  X(ipcGetMemHandle, "cuIpcGetMemHandle", (IpcMemory *, DevicePointer))                            \
  X(ipcOpenMemHandle, "cuIpcOpenMemHandle_v2", (DevicePointer *, IpcMemory, unsigned))             \
  X(ipcCloseMemHandle, "cuIpcCloseMemHandle", (DevicePointer))                                     \
  X(streamBatchMemOp, "cuStreamBatchMemOp_v2", (Stream, unsigned, WordOperation *, unsigned))

struct Driver {
#define SMELT_CUDA_MEMBER(name, symbol, parameters) Result(*name) parameters = nullptr;
  SMELT_CUDA_FUNCTIONS(SMELT_CUDA_MEMBER)
  SMELT_CUDA_PEER_FUNCTIONS(SMELT_CUDA_MEMBER)
#undef SMELT_CUDA_MEMBER
  bool hasPeers = false; ///< All of the latter.

  /// "cuMemAlloc_v2(bytes = 12): CUDA_ERROR_OUT_OF_MEMORY, out of memory".
  std::string describe(const std::string &call, Result result) const;
  Status check(Result result, const std::string &call) const {
    return result == kSuccess ? Status::ok() : internalError(describe(call, result));
  }
};

/// The machine's driver; opened and initialised at the first call. A failure says what is missing
/// and has the code Usage: another device, or another machine, has to be chosen.
StatusOr<const Driver *> openDriver();

} // namespace smelt::runtime::cuda
