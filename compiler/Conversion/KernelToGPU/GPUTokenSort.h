//===- GPUTokenSort.h - Positions of a batch in the order of tokens -*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUTOKENSORT_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUTOKENSORT_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"

namespace smelt {

/// Byte offsets in the workspace, all of i32.
struct SortedTokens {
  int64_t keys;      ///< [count]: the tokens in order; those that are none below `entries` last.
  int64_t positions; ///< [count]: where each one stood; equal tokens keep their order.
  int64_t starts;    ///< [entries + 1]: token t's are starts[t] … starts[t + 1] − 1.
};

/// Adds the launches that sort `tokens`, a buffer of i32 [count].
SortedTokens emitTokenSort(GPUEmission &emission, mlir::Value tokens, int64_t count,
                           int64_t entries);

} // namespace smelt
#endif
