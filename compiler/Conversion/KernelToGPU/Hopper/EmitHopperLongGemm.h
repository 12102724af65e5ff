//===- EmitHopperLongGemm.h - Products with a long k -------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_EMITHOPPERLONGGEMM_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_EMITHOPPERLONGGEMM_H

#include "compiler/Conversion/KernelToGPU/Hopper/GemmPlan.h"

namespace smelt::gpu {

/// Whether a product that wants its k in parts is one for emitLongGemm.
bool isLongGemm(const GemmPlan &plan);
void emitLongGemm(mlir::kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan);

} // namespace smelt::gpu
#endif
