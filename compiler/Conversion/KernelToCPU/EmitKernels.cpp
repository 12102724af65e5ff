//===- EmitKernels.cpp - From a kernel op to its emitter --------------------===//
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"

using namespace mlir;

namespace smelt {

int64_t getWorkspaceBytes(Operation *kernel, const CPUTarget &target) {
  return llvm::TypeSwitch<Operation *, int64_t>(kernel)
      .Case<kernel::GemmOp, kernel::RowwiseOp, kernel::AttentionOp, kernel::AttentionBackwardOp,
            kernel::EmbeddingBackwardOp>([&](auto op) { return getWorkspaceBytes(op, target); })
      .Default([](Operation *) { return 0; });
}

LogicalResult emitKernel(Operation *kernel, KernelFunction &function) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(kernel)
      .Case<kernel::GemmOp, kernel::ForeachOp, kernel::RopeTableOp, kernel::RowwiseOp,
            kernel::AttentionOp, kernel::AttentionBackwardOp, kernel::EmbeddingBackwardOp>(
          [&](auto op) { return emitKernel(op, function); })
      .Default([](Operation *op) { return op->emitOpError("has no code generator for the CPU"); });
}

} // namespace smelt
