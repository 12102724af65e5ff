//===- EmitHopperHead.cpp - GEMM, softcap and cross-entropy ---------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

std::string smelt::gpu::whyNotFastHead(kernel::GemmOp op, const GPUEmission &emission) {
  HeadPlan plan;
  return HeadPlan::match(op, emission, plan);
}

LogicalResult smelt::gpu::emitFastHead(kernel::GemmOp op, GPUEmission &emission) {
  HeadPlan plan;
  [[maybe_unused]] std::string reason = HeadPlan::match(op, emission, plan);
  assert(reason.empty());
  plan.a = makeKMajor(op, 0, emission);
  plan.b = makeKMajor(op, 1, emission);
  int64_t partials = plan.tilesN() * plan.paddedRows() * 4;
  plan.sums = emission.allocateWorkspace(partials);
  if (!plan.isBounded())
    plan.maxima = emission.allocateWorkspace(partials);
  plan.blockSums = emission.allocateWorkspace(plan.lossBlocks() * 4);
  plan.blockCounts = emission.allocateWorkspace(plan.lossBlocks() * 4);
  if (plan.gradient) {
    plan.lse = emission.allocateWorkspace(plan.rows * 4);
    plan.logits = emission.allocateWorkspace(plan.rows * plan.columns * 2);
  }
  emitHeadProduct(plan, emission);
  emitHeadLoss(plan, emission);
  if (plan.gradient)
    emitHeadGradient(plan, emission);
  return success();
}
