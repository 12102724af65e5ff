//===- CompileModule.h - LLVM IR to an object file --------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CPU_COMPILEMODULE_H
#define SMELT_COMPILER_TARGET_CPU_COMPILEMODULE_H

#include "compiler/Target/CPU/CPUTarget.h"
#include "mlir/Support/LLVM.h"

namespace llvm {
class Module;
} // namespace llvm

namespace smelt {

/// Optimises `module` (in a context that no other thread uses) for `target` and writes the object
/// file. With a `dumpPrefix`, also
/// `<dumpPrefix>.ll` and `.s`. Says why in `error` on failure.
mlir::LogicalResult compileModule(llvm::Module &module, const CPUTarget &target,
                                  const std::string &object, const std::string &dumpPrefix,
                                  std::string &error);

} // namespace smelt
#endif
