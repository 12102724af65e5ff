//===- Passes.h - Kernel formation, fusion and outlining --------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_FUSION_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_FUSION_PASSES_H

#include "dialects/Kernel/KernelOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace smelt {
#define GEN_PASS_DECL
#include "compiler/Transforms/Fusion/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

#endif
