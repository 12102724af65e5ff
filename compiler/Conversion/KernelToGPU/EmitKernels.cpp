//===- EmitKernels.cpp - From a kernel op to its emitter ------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"

using namespace mlir;

namespace smelt {

std::string whyNotFastPath(const GPUEmission &emission) {
  return llvm::TypeSwitch<Operation *, std::string>(emission.getKernel())
      .Case([&](kernel::GemmOp op) -> std::string {
        if (gpu::whyNotFastHead(op, emission).empty() || whyNotFp8Gemm(op, emission).empty())
          return "";
        return gpu::isHead(op) ? gpu::whyNotFastHead(op, emission) : whyNotFastGemm(op, emission);
      })
      .Case<kernel::AttentionOp, kernel::AttentionBackwardOp>(
          [&](auto op) { return whyNotFastAttention(op, emission); })
      .Default([](Operation *) { return ""; });
}

LogicalResult emitGPUKernel(GPUEmission &emission) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(emission.getKernel())
      .Case([&](kernel::GemmOp op) {
        if (gpu::whyNotFastHead(op, emission).empty())
          return gpu::emitFastHead(op, emission);
        if (whyNotFp8Gemm(op, emission).empty())
          return emitFp8Gemm(op, emission);
        return whyNotFastGemm(op, emission).empty() ? emitFastGemm(op, emission)
                                                    : emitGeneric(op, emission);
      })
      .Case<kernel::AttentionOp, kernel::AttentionBackwardOp>([&](auto op) {
        return whyNotFastAttention(op, emission).empty() ? emitFastAttention(op, emission)
                                                         : emitGeneric(op, emission);
      })
      .Case<kernel::RowwiseOp, kernel::EmbeddingBackwardOp, kernel::RopeTableOp, kernel::ForeachOp>(
          [&](auto op) { return emitGeneric(op, emission); })
      .Default([](Operation *op) { return op->emitOpError("has no code generator for GPUs"); });
}

} // namespace smelt
