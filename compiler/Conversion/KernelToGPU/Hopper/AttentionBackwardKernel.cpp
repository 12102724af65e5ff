//===- AttentionBackwardKernel.cpp - What attention's gradients share -----===//
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionBackwardKernel.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

PreparedAttention PreparedAttention::allocate(GPUEmission &emission, const AttentionPlan &plan) {
  int64_t padded = getPadded(plan), blocks = padded / blockRows;
  PreparedAttention places;
  places.lse = emission.allocateWorkspace((2 * plan.heads + 1) * padded * 4);
  places.delta = places.lse + plan.heads * padded * 4;
  places.first = places.delta + plan.heads * padded * 4;
  places.lastWhole = emission.allocateWorkspace(blocks * 4);
  places.lastAny = emission.allocateWorkspace(blocks * 4);
  return places;
}

AttentionBackwardKernel::AttentionBackwardKernel(kernel::AttentionBackwardOp op,
                                                 GPUEmission &emission, const AttentionPlan &plan,
                                                 StringRef role, const PreparedAttention &places)
    : AttentionKernel(emission, plan, role, op.getLoc()),
      scalePointer(function.getPointer(op.getScale())) {
  first = function.getPointer(op.getFirst());
  delta = function.getWorkspace(places.delta);
  lse = function.getWorkspace(places.lse);
}
