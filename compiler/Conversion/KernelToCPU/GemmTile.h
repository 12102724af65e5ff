//===- GemmTile.h - The register tile of a matrix product -------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_GEMMTILE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_GEMMTILE_H

#include "compiler/Conversion/KernelToCPU/KernelFunction.h"
#include <functional>

namespace smelt {

/// A matrix in flat memory, seen from one of its elements.
struct MatrixView {
  mlir::Value memory;
  mlir::Value origin; ///< Index of element (0, 0) of the view.
  int64_t rowStride, columnStride;
};

/// C[rows, columns] (+)= A[rows, length]·B[length, columns] held in registers over all of `length`.
struct GemmTile {
  int64_t rows;           ///< Static.
  int64_t columns;        ///< Static; the last vector is masked unless it is full.
  mlir::Value length;     ///< Steps of K (index).
  int64_t lengthMultiple; ///< `length` is a multiple of this.
  MatrixView a;           ///< a(i, k).
  MatrixView b;           ///< b(k, j), columnStride 1, readable in whole vectors.
  MatrixView c;           ///< c(i, j), columnStride 1.
  mlir::Value overwrite;  ///< i1: C is set, not added to. Null: always set.
  /// If set: where `last` (i1; null: always) holds, C is not stored but element vectors (i, j ·
  /// lanes) are given to this, row by row.
  std::function<void(int64_t i, int64_t j, mlir::Value sum)> finish;
  mlir::Value last;
  /// If set, and `length` is a multiple of 8: called with each eighth step of K (index), inside the
  /// loop.
  std::function<void(mlir::Value step)> everyEightSteps;
};

void emitGemmTile(KernelFunction &function, const GemmTile &tile);

/// Vector of lanes values (f32) at memory[index] of any number format, only the first `valid` read
/// (the others 0) when fewer than lanes; and the reverse, rounding.
mlir::Value loadVector(KernelFunction &function, mlir::Value memory, mlir::Value index,
                       int64_t valid);
void storeVector(KernelFunction &function, mlir::Value value, mlir::Value memory, mlir::Value index,
                 int64_t valid);

} // namespace smelt
#endif
