//===- CountKernel.h - Work and traffic of a kernel op ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_FUSION_COUNTKERNEL_H
#define SMELT_COMPILER_TRANSFORMS_FUSION_COUNTKERNEL_H

#include "mlir/IR/Operation.h"

namespace smelt {
struct KernelCounts {
  int64_t flops = 0; ///< Floating-point operations; a multiply-add is two. Attention counts its
                     ///< widest window, the whole causal triangle.
  int64_t bytes = 0; ///< Every operand and result once, as if caches were perfect.
};

KernelCounts countKernel(mlir::Operation *kernel);

/// Bytes of a tensor value; of `rows` rows of it when it is gathered from.
int64_t getBytes(mlir::Value value);

/// Floating-point operations of one row op on its whole tensors (a transcendental function counts
/// 8).
int64_t countRowOpFlops(mlir::Operation *op);
} // namespace smelt

#endif
