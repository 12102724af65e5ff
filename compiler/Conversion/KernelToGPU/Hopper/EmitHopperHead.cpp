//===- EmitHopperHead.cpp - GEMM, softcap and cross-entropy ---------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

std::string smelt::gpu::whyNotFastHead(kernel::GemmOp op, const GPUEmission &emission) {
  HeadPlan plan;
  return HeadPlan::match(op, emission, plan);
}

/// How many chunks of whole tiles keep the logits small; 1 if none do.
static int64_t chooseChunks(const HeadPlan &plan) {
  if (!plan.gradient)
    return 1;
  for (int64_t chunks = 1; plan.rows / chunks >= HeadPlan::tile; ++chunks)
    if (plan.rows % (chunks * HeadPlan::tile) == 0 &&
        plan.rows / chunks * plan.columns * 2 <= HeadPlan::largestLogits)
      return chunks;
  return 1;
}

/// The launch for chunk `chunk` from that for chunk 0: what lies row by row begins further on.
static GPULaunch moveToChunk(GPULaunch launch, const HeadPlan &plan, const GPUEmission &emission,
                             int64_t chunk) {
  kernel::GemmOp op = plan.op;
  auto target = cast<BlockArgument>(const_cast<lm::CrossEntropyOp &>(plan.loss).getTargets());
  uint32_t targets = emission.getArgument(op.getResultInputs()[target.getArgNumber() - 1]),
           gradient = emission.getArgument(plan.gradient),
           workspace = emission.getWorkspaceArgument();
  for (GPUParameter &parameter : launch.parameters) {
    uint32_t argument = parameter.arguments[0];
    int64_t offset = parameter.byteOffset, rowBytes = 0;
    if (argument == plan.a.argument && offset == plan.a.byteOffset)
      rowBytes = plan.a.pitch;
    else if (argument == targets)
      rowBytes = 4;
    else if (argument == gradient)
      rowBytes = plan.columns * plan.gradientElement.getIntOrFloatBitWidth() / 8;
    else if (argument == workspace && (offset == plan.blockSums || offset == plan.blockCounts))
      parameter.byteOffset += chunk * plan.lossBlocks() * 4;
    parameter.byteOffset += chunk * plan.rows * rowBytes;
  }
  return launch;
}

LogicalResult smelt::gpu::emitFastHead(kernel::GemmOp op, GPUEmission &emission) {
  HeadPlan plan;
  [[maybe_unused]] std::string reason = HeadPlan::match(op, emission, plan);
  assert(reason.empty());
  plan.a = makeKMajor(op, 0, emission);
  plan.b = makeKMajor(op, 1, emission);
  emitHeadLaunches(plan, emission, [&] { emitHeadProduct(plan, emission); });
  return success();
}

void smelt::gpu::emitHeadLaunches(HeadPlan &plan, GPUEmission &emission,
                                  llvm::function_ref<void()> emitProduct) {
  plan.chunks = chooseChunks(plan);
  plan.rows /= plan.chunks;
  plan.a.rows = plan.rows;
  int64_t partials = plan.tilesN() * plan.paddedRows() * 4;
  plan.sums = emission.allocateWorkspace(partials);
  if (!plan.isBounded())
    plan.maxima = emission.allocateWorkspace(partials);
  plan.blockSums = emission.allocateWorkspace(plan.chunks * plan.lossBlocks() * 4);
  plan.blockCounts = emission.allocateWorkspace(plan.chunks * plan.lossBlocks() * 4);
  if (plan.gradient) {
    plan.lse = emission.allocateWorkspace(plan.rows * 4);
    plan.logits = emission.allocateWorkspace(plan.rows * plan.columns * 2);
  }
  size_t begin = emission.getLaunches().size();
  emitProduct();
  emitHeadLoss(plan, emission);
  if (plan.gradient)
    emitHeadGradient(plan, emission);
  size_t end = emission.getLaunches().size();
  for (int64_t chunk = 1; chunk < plan.chunks; ++chunk)
    for (size_t i = begin; i < end; ++i)
      emission.addLaunch(moveToChunk(emission.getLaunches()[i], plan, emission, chunk));
  emitHeadSum(plan, emission);
}
