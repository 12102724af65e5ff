//===- EmitKernels.cpp - From a kernel op to its emitter ------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"

using namespace mlir;

namespace smelt {

std::string whyNotFastPath(const GPUEmission &emission) {
  bool isHopper = emission.getTarget().hasWarpgroupMMA();
  return llvm::TypeSwitch<Operation *, std::string>(emission.getKernel())
      .Case([&](kernel::GemmOp op) -> std::string {
        if (!isHopper)
          return gpu::isHead(op) ? whyNotWarpHead(op, emission) : whyNotWarpGemm(op, emission);
        if (gpu::whyNotFastHead(op, emission).empty() || whyNotFp8Gemm(op, emission).empty())
          return "";
        return gpu::isHead(op) ? gpu::whyNotFastHead(op, emission) : whyNotFastGemm(op, emission);
      })
      .Case<kernel::AttentionOp, kernel::AttentionBackwardOp>([&](auto op) {
        return isHopper ? whyNotFastAttention(op, emission) : whyNotWarpAttention(op, emission);
      })
      .Default([](Operation *) { return ""; });
}

LogicalResult emitGPUKernel(GPUEmission &emission) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(emission.getKernel())
      .Case([&](kernel::GemmOp op) {
        if (gpu::whyNotFastHead(op, emission).empty())
          return gpu::emitFastHead(op, emission);
        if (whyNotFp8Gemm(op, emission).empty())
          return emitFp8Gemm(op, emission);
        if (whyNotFastGemm(op, emission).empty())
          return emitFastGemm(op, emission);
        if (gpu::isHead(op) && whyNotWarpHead(op, emission).empty())
          return emitWarpHead(op, emission);
        return whyNotWarpGemm(op, emission).empty() ? emitWarpGemm(op, emission)
                                                    : emitGeneric(op, emission);
      })
      .Case<kernel::AttentionOp, kernel::AttentionBackwardOp>([&](auto op) {
        if (whyNotFastAttention(op, emission).empty())
          return emitFastAttention(op, emission);
        return whyNotWarpAttention(op, emission).empty() ? emitWarpAttention(op, emission)
                                                         : emitGeneric(op, emission);
      })
      .Case<kernel::RowwiseOp, kernel::EmbeddingBackwardOp, kernel::RopeTableOp, kernel::ForeachOp>(
          [&](auto op) { return emitGeneric(op, emission); })
      .Default([](Operation *op) { return op->emitOpError("has no code generator for GPUs"); });
}

} // namespace smelt
