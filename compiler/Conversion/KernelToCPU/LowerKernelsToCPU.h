//===- LowerKernelsToCPU.h - Outlined kernels to native functions -*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_LOWERKERNELSTOCPU_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_LOWERKERNELSTOCPU_H

#include "compiler/Target/CPU/CPUTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/Pass.h"

namespace smelt {

/// Sets `kernel.workspace` on each outlined kernel function that wants a workspace on `cpu` ("host"
/// or an LLVM name).
std::unique_ptr<mlir::Pass> createPlanCPUWorkspacePass(std::string cpu = "host");
/// Replaces each outlined kernel function by `func.func @smelt_<name>(!llvm.ptr)` in upstream
/// dialects; a function that is still called stays beside it.
std::unique_ptr<mlir::Pass> createKernelToCPUPass(std::string cpu = "host");
/// Makes both passes known to pass pipelines.
void registerKernelToCPUPasses();

/// The native functions of all outlined kernel functions of `module`, in a module of their own,
/// ready for emitCPUObject. Null, with errors at the ops, if one cannot be lowered. `module` is not
/// changed; its `kernel.workspace` attributes must be set.
mlir::OwningOpRef<mlir::ModuleOp> lowerKernelsToCPU(mlir::ModuleOp module, const CPUTarget &target);

} // namespace smelt
#endif
