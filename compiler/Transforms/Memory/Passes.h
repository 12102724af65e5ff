//===- Passes.h - Static memory planning ------------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_MEMORY_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_MEMORY_PASSES_H

#include "dialects/Exec/ExecOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Memory/Passes.h.inc"

/// Checks on the exec module that buffers which are alive at the same time lie apart and inside the arena; reports the first two that do not.
llvm::LogicalResult checkMemory(mlir::ModuleOp module);
} // namespace smelt

#endif
