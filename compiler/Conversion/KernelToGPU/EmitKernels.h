//===- EmitKernels.h - One emitter per kernel op ----------------*- C++ -*-===//
//
// Each emitter reports at the op what it cannot do. `whyNotFast…` says (empty: it can) whether the
// Hopper generator takes a kernel, `whyNotWarp…` whether that for older tensor cores does; the
// generic emitters take everything and are the reference.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_EMITKERNELS_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_EMITKERNELS_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "dialects/Kernel/KernelOps.h"

namespace smelt {

/// Emits the kernel op of `emission` by the fastest emitter that takes it.
mlir::LogicalResult emitGPUKernel(GPUEmission &emission);

// The Hopper generators (Hopper/EmitHopper….cpp).
std::string whyNotFastGemm(mlir::kernel::GemmOp op, const GPUEmission &emission);
mlir::LogicalResult emitFastGemm(mlir::kernel::GemmOp op, GPUEmission &emission);
/// Both operands f8, any layout: operands are copied where they are not K-major.
std::string whyNotFp8Gemm(mlir::kernel::GemmOp op, const GPUEmission &emission);
mlir::LogicalResult emitFp8Gemm(mlir::kernel::GemmOp op, GPUEmission &emission);
std::string whyNotFastAttention(mlir::kernel::AttentionOp op, const GPUEmission &emission);
mlir::LogicalResult emitFastAttention(mlir::kernel::AttentionOp op, GPUEmission &emission);
std::string whyNotFastAttention(mlir::kernel::AttentionBackwardOp op, const GPUEmission &emission);
mlir::LogicalResult emitFastAttention(mlir::kernel::AttentionBackwardOp op, GPUEmission &emission);

// With mma.sync, on every GPU without wgmma: bf16 and f8 operands, any result region; attention as
// the Hopper generators take it.
std::string whyNotWarpGemm(mlir::kernel::GemmOp op, const GPUEmission &emission);
mlir::LogicalResult emitWarpGemm(mlir::kernel::GemmOp op, GPUEmission &emission);
std::string whyNotWarpHead(mlir::kernel::GemmOp op, const GPUEmission &emission);
mlir::LogicalResult emitWarpHead(mlir::kernel::GemmOp op, GPUEmission &emission);
std::string whyNotWarpAttention(mlir::kernel::AttentionOp op, const GPUEmission &emission);
mlir::LogicalResult emitWarpAttention(mlir::kernel::AttentionOp op, GPUEmission &emission);
std::string whyNotWarpAttention(mlir::kernel::AttentionBackwardOp op, const GPUEmission &emission);
mlir::LogicalResult emitWarpAttention(mlir::kernel::AttentionBackwardOp op, GPUEmission &emission);

// The generic emitters: any regions, any shapes, sm_80 on.
mlir::LogicalResult emitGeneric(mlir::kernel::GemmOp op, GPUEmission &emission);
mlir::LogicalResult emitGeneric(mlir::kernel::AttentionOp op, GPUEmission &emission);
mlir::LogicalResult emitGeneric(mlir::kernel::AttentionBackwardOp op, GPUEmission &emission);
mlir::LogicalResult emitGeneric(mlir::kernel::RowwiseOp op, GPUEmission &emission);
mlir::LogicalResult emitGeneric(mlir::kernel::EmbeddingBackwardOp op, GPUEmission &emission);
mlir::LogicalResult emitGeneric(mlir::kernel::RopeTableOp op, GPUEmission &emission);
mlir::LogicalResult emitGeneric(mlir::kernel::ForeachOp op, GPUEmission &emission);

} // namespace smelt
#endif
