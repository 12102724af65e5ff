//===- EmitRowwise.cpp - kernel.rowwise -----------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/GPURowKernel.h"

using namespace mlir;

namespace smelt {

LogicalResult emitGeneric(kernel::RowwiseOp op, GPUEmission &emission) {
  GPURowProgram program(op.getBody(), /*mayFlatten=*/true);
  if (!program.whyNot().empty())
    return op.emitOpError("cannot be generated for GPUs: ") << program.whyNot();
  SmallVector<GPURowBuffer> sources, sinks;
  for (auto [argument, input] : llvm::zip(program.getBlock().getArguments(), op.getInputs()))
    sources.push_back(makeRowBuffer(emission, program, argument, input));
  for (auto [value, output] :
       llvm::zip(program.getTerminator()->getOperands(), op.getOutputs()))
    sinks.push_back(makeRowBuffer(emission, program, value, output));
  emitRowLaunches(emission, program, sources, sinks, "rows");
  return success();
}

} // namespace smelt
