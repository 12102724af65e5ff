//===- NcclLibrary.h - libnccl, opened at run time --------------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"
#include "runtime/collective/nccl/NcclTypes.h"

#include <vector>

namespace smelt::runtime::nccl {

/// The functions that are called. X(result, name of the member, symbol, parameters); streams are
/// the driver's.
#define SMELT_NCCL_FUNCTIONS(X)                                                                    \
  X(Result, getVersion, "ncclGetVersion", (int *))                                                 \
  X(Result, getUniqueId, "ncclGetUniqueId", (UniqueId *))                                          \
  X(Result, commInitRankConfig, "ncclCommInitRankConfig",                                          \
    (Communicator *, int, UniqueId, int, Config *))                                                \
  X(Result, commGetAsyncError, "ncclCommGetAsyncError", (Communicator, Result *))                  \
  X(Result, commFinalize, "ncclCommFinalize", (Communicator))                                      \
  X(Result, commDestroy, "ncclCommDestroy", (Communicator))                                        \
  X(Result, commAbort, "ncclCommAbort", (Communicator))                                            \
  X(const char *, getErrorString, "ncclGetErrorString", (Result))                                  \
  X(const char *, getLastError, "ncclGetLastError", (Communicator))                                \
  X(Result, groupStart, "ncclGroupStart", ())                                                      \
  X(Result, groupEnd, "ncclGroupEnd", ())                                                          \
  X(Result, allReduce, "ncclAllReduce",                                                            \
    (const void *, void *, size_t, int, int, Communicator, void *))                                \
  X(Result, reduceScatter, "ncclReduceScatter",                                                    \
    (const void *, void *, size_t, int, int, Communicator, void *))                                \
  X(Result, allGather, "ncclAllGather", (const void *, void *, size_t, int, Communicator, void *)) \
  X(Result, broadcast, "ncclBroadcast",                                                            \
    (const void *, void *, size_t, int, int, Communicator, void *))

struct Library {
#define SMELT_NCCL_MEMBER(result, name, symbol, parameters) result(*name) parameters = nullptr;
  SMELT_NCCL_FUNCTIONS(SMELT_NCCL_MEMBER)
#undef SMELT_NCCL_MEMBER
  std::string version; ///< "2.28.9"
  std::string path;    ///< For people.
};

/// Where libnccl.so.2 is looked for, in this order: SMELT_NCCL alone if it is set; where the system
/// looks; PyTorch's wheel beside each python3 of PATH; a conda environment.
std::vector<std::string> findNcclPlaces();

/// The machine's NCCL; opened at the first call, with NVLink multicast off unless NCCL_NVLS_ENABLE
/// is set. A failure says where it was looked for and has the code Usage.
StatusOr<const Library *> openNccl();

} // namespace smelt::runtime::nccl
