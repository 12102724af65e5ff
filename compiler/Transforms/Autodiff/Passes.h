//===- Passes.h - Differentiation of lm programs ----------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_AUTODIFF_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_AUTODIFF_PASSES_H

#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Pass/Pass.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Autodiff/Passes.h.inc"
} // namespace smelt

#endif
