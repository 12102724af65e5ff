//===- GPURowSlices.h - Rows dealt to warps head by head --------*- C++ -*-===//
//
// A region whose norms, rotations and shifts stay within heads needs no threads that share a row: a
// warp takes a few heads of one result (or part of a concat) of one row, a unit, and each group of
// its lanes one of them. A lane has features of both halves of its head, so the two that a rotation
// joins are its own: reductions are a group's, and every number is read once.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWSLICES_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWSLICES_H

#include "compiler/Conversion/KernelToGPU/GPURowProgram.h"

namespace smelt {

struct GPURowSlices {
  int64_t width = 0; ///< Of a head; 0: rows are not dealt so.
  /// Features [begin, begin + heads·width) of all results of `features`, and of such sums.
  struct Part {
    int64_t features, begin, heads;
    llvm::SmallVector<unsigned> results; ///< Of the region's terminator.
    llvm::SmallVector<unsigned> sums;    ///< Of the program's getSums().
  };
  llvm::SmallVector<Part> parts;
  int64_t together = 1; ///< Heads of a unit, which divides every part's.
  int64_t units = 1;    ///< Of all parts.

  /// Lanes that share a head.
  int64_t getGroup() const { return 32 / together; }

  explicit GPURowSlices(const GPURowProgram &program);
};

} // namespace smelt
#endif
