//===- KernelAttributes.h - What passes note on kernels ---------*- C++ -*-===//
#ifndef SMELT_DIALECTS_KERNEL_KERNELATTRIBUTES_H
#define SMELT_DIALECTS_KERNEL_KERNELATTRIBUTES_H

#include "llvm/ADT/StringRef.h"

namespace mlir::kernel {

/// On a kernel.gemm (unit): in exact arithmetic each of its matrices is its own transpose, so a
/// target may compute the part on and above the diagonal and store it twice.
inline constexpr llvm::StringLiteral symmetricAttribute = "kernel.symmetric";

} // namespace mlir::kernel
#endif
