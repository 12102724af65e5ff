//===- CountKernel.h - Work and traffic of a kernel op ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_FUSION_COUNTKERNEL_H
#define SMELT_COMPILER_TRANSFORMS_FUSION_COUNTKERNEL_H

#include "mlir/IR/SymbolTable.h"

namespace smelt {
struct KernelCounts {
  int64_t flops = 0; ///< Floating-point operations; a multiply-add is two. Attention counts the
                     ///< window of the last step that runs its program, and no document's end.
  int64_t bytes = 0; ///< Every operand and result once, as if caches were perfect.
};

/// `symbols` is the module's: windows are settings with schedules.
KernelCounts countKernel(mlir::Operation *kernel, const mlir::SymbolTable &symbols);

/// Bytes of a tensor value; of `rows` rows of it when it is gathered from.
int64_t getBytes(mlir::Value value);

/// Floating-point operations of one row op on its whole tensors (a transcendental function counts
/// 8).
int64_t countRowOpFlops(mlir::Operation *op);
} // namespace smelt

#endif
