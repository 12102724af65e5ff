//===- GPURowKernel.h - A region of row ops as launches ---------*- C++ -*-===//
//
// kernel.rowwise is one; the generic emitters of the other kernels use it for regions that they do
// not evaluate in place (before: operands into the workspace; after: results from it).
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWKERNEL_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWKERNEL_H

#include "compiler/Conversion/KernelToGPU/GPURowEmitter.h"

namespace smelt {

/// Rows in a buffer of the kernel.
struct GPURowBuffer {
  uint32_t argument = 0;
  int64_t byteOffset = 0;
  mlir::Type element;
  int64_t stride = 0; ///< Elements from row to row.
};

/// An operand or result of the kernel op as rows of the region's `value`.
GPURowBuffer makeRowBuffer(const GPUEmission &emission, const GPURowProgram &program,
                           mlir::Value value, mlir::Value outer);
/// New workspace for rows of `value`, as `element`s.
GPURowBuffer makeWorkspaceRows(GPUEmission &emission, const GPURowProgram &program,
                               mlir::Value value, mlir::Type element);

GPURowSource makeSource(GPUFunction &function, const GPURowBuffer &buffer);
GPURowSink makeSink(GPUFunction &function, const GPURowBuffer &buffer);

/// Adds the launches that compute the program's results: one for rows, one more for sums over all
/// rows.
void emitRowLaunches(GPUEmission &emission, const GPURowProgram &program,
                     llvm::ArrayRef<GPURowBuffer> sources, llvm::ArrayRef<GPURowBuffer> sinks,
                     llvm::StringRef role);

} // namespace smelt
#endif
