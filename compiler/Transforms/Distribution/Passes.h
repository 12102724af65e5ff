//===- Passes.h - One program for many ranks --------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_DISTRIBUTION_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_DISTRIBUTION_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Distribution/Passes.h.inc"

/// An error at the run if a step's micro-batches do not divide among so many ranks.
llvm::LogicalResult checkMicroBatches(mlir::ModuleOp module, int64_t ranks);

} // namespace smelt

#endif
