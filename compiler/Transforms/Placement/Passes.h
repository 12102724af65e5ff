//===- Passes.h - Communication beside computation --------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_PLACEMENT_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_PLACEMENT_PASSES_H

#include "mlir/Pass/Pass.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Placement/Passes.h.inc"
} // namespace smelt

#endif
