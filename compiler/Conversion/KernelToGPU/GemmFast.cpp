//===- GemmFast.cpp - Which GEMMs the Hopper generator takes --------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"

using namespace mlir;

namespace smelt {

std::string whyNotFastGemm(kernel::GemmOp, const GPUEmission &) {
  return "the Hopper generator of GEMMs is not in this build";
}

LogicalResult emitFastGemm(kernel::GemmOp op, GPUEmission &emission) {
  return op.emitError(whyNotFastGemm(op, emission));
}

} // namespace smelt
