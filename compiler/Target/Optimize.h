//===- Optimize.h - LLVM's optimisations for generated kernels --*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_OPTIMIZE_H
#define SMELT_COMPILER_TARGET_OPTIMIZE_H

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace smelt {

/// LLVM's O3 for `machine`, without what the kernels' generators have done: no loop is vectorised
/// or unrolled here.
void optimizeGenerated(llvm::Module &module, llvm::TargetMachine &machine);

} // namespace smelt
#endif
