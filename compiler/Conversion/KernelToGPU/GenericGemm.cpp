//===- GenericGemm.cpp - placeholder --------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"

using namespace mlir;
namespace smelt {
LogicalResult emitGeneric(kernel::GemmOp op, GPUEmission &) { return op.emitError("no generic GEMM yet"); }
LogicalResult emitGeneric(kernel::AttentionOp op, GPUEmission &) { return op.emitError("no generic attention yet"); }
LogicalResult emitGeneric(kernel::AttentionBackwardOp op, GPUEmission &) { return op.emitError("no generic attention yet"); }
LogicalResult emitGeneric(kernel::RowwiseOp op, GPUEmission &) { return op.emitError("no rows yet"); }
LogicalResult emitGeneric(kernel::EmbeddingBackwardOp op, GPUEmission &) { return op.emitError("no table gradients yet"); }
LogicalResult emitGeneric(kernel::RopeTableOp op, GPUEmission &) { return op.emitError("no rope tables yet"); }
LogicalResult emitGeneric(kernel::AdamWOp op, GPUEmission &) { return op.emitError("no AdamW yet"); }
} // namespace smelt
