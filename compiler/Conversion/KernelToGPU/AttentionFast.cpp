//===- AttentionFast.cpp - Which attentions the Hopper generator takes ----===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"

using namespace mlir;

namespace smelt {

std::string whyNotFastAttention(kernel::AttentionOp, const GPUEmission &) {
  return "the Hopper generator of attention is not in this build";
}

std::string whyNotFastAttention(kernel::AttentionBackwardOp, const GPUEmission &) {
  return "the Hopper generator of attention is not in this build";
}

LogicalResult emitFastAttention(kernel::AttentionOp op, GPUEmission &emission) {
  return op.emitError(whyNotFastAttention(op, emission));
}

LogicalResult emitFastAttention(kernel::AttentionBackwardOp op, GPUEmission &emission) {
  return op.emitError(whyNotFastAttention(op, emission));
}

} // namespace smelt
