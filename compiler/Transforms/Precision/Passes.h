//===- Passes.h - Number formats --------------------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_PRECISION_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_PRECISION_PASSES_H

#include "dialects/Kernel/KernelOps.h"
#include "mlir/Pass/Pass.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Precision/Passes.h.inc"
} // namespace smelt

#endif
