//===- EmitRowKernels.cpp - Placeholders of kernels under construction ------===//
// TEMPORARY: rowcode replaces this file by one emitter per kernel.
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"

using namespace mlir;

namespace smelt {

int64_t getWorkspaceBytes(kernel::RowwiseOp op, const CPUTarget &target) { return 0; }
int64_t getWorkspaceBytes(kernel::AttentionOp op, const CPUTarget &target) { return 0; }
int64_t getWorkspaceBytes(kernel::AttentionBackwardOp op, const CPUTarget &target) { return 0; }
int64_t getWorkspaceBytes(kernel::EmbeddingBackwardOp op, const CPUTarget &target) { return 0; }
LogicalResult emitKernel(kernel::RowwiseOp op, KernelFunction &function) { return op.emitOpError("is not lowered yet"); }
LogicalResult emitKernel(kernel::AttentionOp op, KernelFunction &function) { return op.emitOpError("is not lowered yet"); }
LogicalResult emitKernel(kernel::AttentionBackwardOp op, KernelFunction &function) { return op.emitOpError("is not lowered yet"); }
LogicalResult emitKernel(kernel::EmbeddingBackwardOp op, KernelFunction &function) { return op.emitOpError("is not lowered yet"); }

} // namespace smelt
