//===- PlainProduct.h - GEMMs that a library could compute ------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_PLAINPRODUCT_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_PLAINPRODUCT_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "compiler/Conversion/KernelToGPU/GPUProduct.h"
#include "dialects/Kernel/KernelOps.h"

namespace smelt {

/// What region `index` (0 or 1) of the kernel computes, without conversions and reshapes that
/// change no number.
mlir::Value getExactOperand(mlir::kernel::GemmOp op, unsigned index);
/// The kernel's operand that region `index` passes on as it is; null if it computes something.
mlir::Value findStoredOperand(mlir::kernel::GemmOp op, unsigned index);

/// The kernel as output = alpha · op(a) · op(b) + beta · addend, if that is all it does, to the
/// last rounding, on buffers that begin at multiples of 256 bytes. `why` says what else it does.
std::optional<GPUProduct> matchPlainProduct(mlir::kernel::GemmOp op, const GPUEmission &emission,
                                            std::string &why);

} // namespace smelt
#endif
