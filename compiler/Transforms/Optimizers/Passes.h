//===- Passes.h - Optimisers and gradient accumulation ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_OPTIMIZERS_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_OPTIMIZERS_PASSES_H

#include "dialects/Kernel/KernelOps.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Pass/Pass.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Optimizers/Passes.h.inc"
} // namespace smelt

#endif
