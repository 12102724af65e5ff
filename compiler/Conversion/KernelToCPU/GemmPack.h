//===- GemmPack.h - Rearranging matrices for the register tile --*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_GEMMPACK_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_GEMMPACK_H

#include "compiler/Conversion/KernelToCPU/GemmPlan.h"
#include "compiler/Conversion/KernelToCPU/KernelFunction.h"

namespace smelt {

/// Inside a parallel region: packs all of op(B), stored in flat `source`, into `panels`
/// [groups][panels][K][panelWidth], zero beyond column n.
void emitPackAllPanels(KernelFunction &function, const GemmPlan &plan, mlir::Value source,
                       mlir::Value panels);

/// One thread: packs rows [k0, k0 + length) of B (stored [groups·K, n]), panels [panel0, panel1), into
/// `slab` [panel1 - panel0][blockK][panelWidth].
void emitPackSlabB(KernelFunction &function, const GemmPlan &plan, mlir::Value source,
                   mlir::Value k0, mlir::Value length, mlir::Value panel0, mlir::Value panel1,
                   mlir::Value slab, mlir::Value slabOrigin);

/// One thread: packs rows [k0, k0 + length) and columns [row0, row1) of A (stored [groups·K, m]) into
/// `slab` [tiles][blockK][tileRows].
void emitPackSlabA(KernelFunction &function, const GemmPlan &plan, mlir::Value source,
                   mlir::Value k0, mlir::Value length, mlir::Value row0, mlir::Value row1,
                   mlir::Value slab, mlir::Value slabOrigin);

/// One thread: copies the transpose of C[columns, rows] to C[rows, columns], for `rows` [row0,
/// row1) and columns [0, row0) of the square matrix at memory[origin]; all bounds are multiples of
/// the lanes.
void emitMirror(KernelFunction &function, const GemmPlan &plan, mlir::Value memory,
                mlir::Value origin, mlir::Value row0, mlir::Value row1);

} // namespace smelt
#endif
