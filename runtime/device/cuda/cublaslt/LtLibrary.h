//===- LtLibrary.h - libcublasLt, opened at run time ------------*- C++ -*-===//
//
// Declared here, from cuBLAS's public documentation, so that a machine without it builds GPU code
// too. Values are part of cuBLASLt's stable ABI.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Status.h"
#include "runtime/device/cuda/DriverTypes.h"

namespace smelt::runtime::cublaslt {

using Result = int; // cublasStatus_t
inline constexpr Result kSuccess = 0;
using Handle = struct OpaqueHandle *;
using Description = struct OpaqueDescription *;
using Layout = struct OpaqueLayout *;
using Preference = struct OpaquePreference *;

/// cublasLtMatmulAlgo_t.
struct Algorithm {
  uint64_t data[8] = {};
};
/// cublasLtMatmulHeuristicResult_t.
struct Candidate {
  Algorithm algorithm;
  size_t workspaceBytes = 0;
  Result state = kSuccess;
  float waves = 0;
  int reserved[4] = {};
};

inline constexpr int kCompute32F = 68;             // cublasComputeType_t
inline constexpr int kFloat32 = 0, kBfloat16 = 14; // cudaDataType
inline constexpr int kPlain = 0, kTransposed = 1;  // cublasOperation_t
inline constexpr int kHostFactors = 0, kDeviceFactors = 1;
// Attributes of a description, a layout and a preference.
inline constexpr int kPointerMode = 2, kTransposeA = 3, kTransposeB = 4;
inline constexpr int kBatchCount = 5, kBatchStride = 6;
inline constexpr int kMaxWorkspace = 1;

/// The functions that are called. X(result, name of the member, symbol, parameters).
#define SMELT_CUBLASLT_FUNCTIONS(X)                                                                \
  X(size_t, getVersion, "cublasLtGetVersion", ())                                                  \
  X(const char *, getStatusName, "cublasLtGetStatusName", (Result))                                \
  X(Result, create, "cublasLtCreate", (Handle *))                                                  \
  X(Result, destroy, "cublasLtDestroy", (Handle))                                                  \
  X(Result, descCreate, "cublasLtMatmulDescCreate", (Description *, int, int))                     \
  X(Result, descDestroy, "cublasLtMatmulDescDestroy", (Description))                               \
  X(Result, descSet, "cublasLtMatmulDescSetAttribute", (Description, int, const void *, size_t))   \
  X(Result, layoutCreate, "cublasLtMatrixLayoutCreate",                                            \
    (Layout *, int, uint64_t, uint64_t, int64_t))                                                  \
  X(Result, layoutDestroy, "cublasLtMatrixLayoutDestroy", (Layout))                                \
  X(Result, layoutSet, "cublasLtMatrixLayoutSetAttribute", (Layout, int, const void *, size_t))    \
  X(Result, preferenceCreate, "cublasLtMatmulPreferenceCreate", (Preference *))                    \
  X(Result, preferenceDestroy, "cublasLtMatmulPreferenceDestroy", (Preference))                    \
  X(Result, preferenceSet, "cublasLtMatmulPreferenceSetAttribute",                                 \
    (Preference, int, const void *, size_t))                                                       \
  X(Result, heuristic, "cublasLtMatmulAlgoGetHeuristic",                                           \
    (Handle, Description, Layout, Layout, Layout, Layout, Preference, int, Candidate *, int *))    \
  X(Result, algoCheck, "cublasLtMatmulAlgoCheck",                                                  \
    (Handle, Description, Layout, Layout, Layout, Layout, const Algorithm *, Candidate *))         \
  X(Result, matmul, "cublasLtMatmul",                                                              \
    (Handle, Description, const void *, const void *, Layout, const void *, Layout, const void *,  \
     const void *, Layout, void *, Layout, const Algorithm *, void *, size_t, cuda::Stream))

struct Library {
#define SMELT_CUBLASLT_MEMBER(result, name, symbol, parameters) result(*name) parameters = nullptr;
  SMELT_CUBLASLT_FUNCTIONS(SMELT_CUBLASLT_MEMBER)
#undef SMELT_CUBLASLT_MEMBER
  uint64_t version = 0; ///< 130100
  std::string path;     ///< For people.

  Status check(Result result, const std::string &call) const;
};

/// The machine's cuBLASLt; opened at the first call: SMELT_CUBLASLT alone if it is set; where the
/// system looks for libcublasLt.so.13 and .12; CUDA's usual folder. A failure says where it was
/// looked for and has the code Usage: nothing depends on it.
StatusOr<const Library *> openCublasLt();

} // namespace smelt::runtime::cublaslt
