//===- Passes.h - One program for many ranks --------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_DISTRIBUTION_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_DISTRIBUTION_PASSES_H

#include "mlir/Pass/Pass.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Distribution/Passes.h.inc"
} // namespace smelt

#endif
