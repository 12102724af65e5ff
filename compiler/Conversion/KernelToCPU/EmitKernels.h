//===- EmitKernels.h - One emitter per kernel op ----------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_EMITKERNELS_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_EMITKERNELS_H

#include "compiler/Conversion/KernelToCPU/KernelFunction.h"
#include "dialects/Kernel/KernelOps.h"

namespace smelt {

/// Bytes of workspace that the kernel wants on `target`; 0 for none. Depends on the op and the
/// target only.
int64_t getWorkspaceBytes(mlir::Operation *kernel, const CPUTarget &target);
/// Emits the kernel op into `function`; reports at the op what it cannot do.
mlir::LogicalResult emitKernel(mlir::Operation *kernel, KernelFunction &function);

int64_t getWorkspaceBytes(mlir::kernel::GemmOp op, const CPUTarget &target);
int64_t getWorkspaceBytes(mlir::kernel::RowwiseOp op, const CPUTarget &target);
int64_t getWorkspaceBytes(mlir::kernel::AttentionOp op, const CPUTarget &target);
int64_t getWorkspaceBytes(mlir::kernel::AttentionBackwardOp op, const CPUTarget &target);
int64_t getWorkspaceBytes(mlir::kernel::EmbeddingBackwardOp op, const CPUTarget &target);

mlir::LogicalResult emitKernel(mlir::kernel::GemmOp op, KernelFunction &function);
mlir::LogicalResult emitKernel(mlir::kernel::ForeachOp op, KernelFunction &function);
mlir::LogicalResult emitKernel(mlir::kernel::RopeTableOp op, KernelFunction &function);
mlir::LogicalResult emitKernel(mlir::kernel::RowwiseOp op, KernelFunction &function);
mlir::LogicalResult emitKernel(mlir::kernel::AttentionOp op, KernelFunction &function);
mlir::LogicalResult emitKernel(mlir::kernel::AttentionBackwardOp op, KernelFunction &function);
mlir::LogicalResult emitKernel(mlir::kernel::EmbeddingBackwardOp op, KernelFunction &function);

/// No more threads than this run one kernel: it bounds the workspaces that hold one part per
/// thread.
inline constexpr int64_t maxThreadsPerKernel = 64;

} // namespace smelt
#endif
