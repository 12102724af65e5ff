//===- Windows.h - How far attention sees -------------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_ANALYSIS_WINDOWS_H
#define SMELT_COMPILER_ANALYSIS_WINDOWS_H

#include "dialects/LM/LMOps.h"
#include "mlir/IR/SymbolTable.h"

namespace smelt {

/// Keys that a query of a sequence of `tokens` sees on average: itself and `window` tokens before
/// it; with `blocks`, its own block and the window / blocks − 1 before it.
double averageKeys(int64_t tokens, int64_t window, int64_t blocks);

/// The window at a step: a constant, or a scheduled setting of the module that `symbols` is of.
int64_t getWindowAt(mlir::Value window, int64_t step, const mlir::SymbolTable &symbols);

/// The last step that runs a program: of the stages that name it, or of the whole run.
int64_t getLastStep(mlir::ModuleOp module, llvm::StringRef program);

} // namespace smelt
#endif
