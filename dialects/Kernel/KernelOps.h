//===- KernelOps.h - Operations of the kernel dialect -----------*- C++ -*-===//
#ifndef SMELT_DIALECTS_KERNEL_KERNELOPS_H
#define SMELT_DIALECTS_KERNEL_KERNELOPS_H

#include "dialects/LM/LMOps.h"

#include "dialects/Kernel/KernelDialect.h.inc"
#include "dialects/Kernel/KernelInterfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/KernelOps.h.inc"

namespace mlir::kernel {
/// Appends to `region` (empty) a block that yields its only argument of type `type`: the identity load or result.
void buildIdentityRegion(OpBuilder &builder, Location loc, Region &region, Type type);
/// True when the region yields exactly its arguments, in order.
bool isIdentityRegion(Region &region);
} // namespace mlir::kernel

#endif
