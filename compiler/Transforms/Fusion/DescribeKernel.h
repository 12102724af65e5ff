//===- DescribeKernel.h - What a kernel is, in words ------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_FUSION_DESCRIBEKERNEL_H
#define SMELT_COMPILER_TRANSFORMS_FUSION_DESCRIBEKERNEL_H

#include "dialects/Kernel/KernelOps.h"
#include "llvm/ADT/SetVector.h"

namespace smelt {
/// "gemm layers.0.attention.qkv: rms_norm → split, 2 rms_norm, 2 rope": the kernel, the parameter
/// it works with or for, what its loads compute, and after the arrow what its result region
/// computes.
std::string describeKernel(mlir::Operation *kernel);

/// Paths of the spec steps (names of NameLocs) in a location, in order.
void collectSteps(mlir::Location loc, llvm::SetVector<mlir::StringAttr> &steps);

/// Steps of a kernel op and of everything in its regions.
llvm::SetVector<mlir::StringAttr> collectSteps(mlir::Operation *kernel);
} // namespace smelt

#endif
