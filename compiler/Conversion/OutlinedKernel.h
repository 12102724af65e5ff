//===- OutlinedKernel.h - A kernel in a function of its own -----*- C++ -*-===//
//
//   func.func private @kernel_0(%a: tensor<64x32xf32>, …) -> tensor<64x96xf32> attributes
//   {kernel.workspace = 12288 : i64} {
//     %0 = kernel.gemm …
//     return %0
//   }
// is what every target lowers to code.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_OUTLINEDKERNEL_H
#define SMELT_COMPILER_CONVERSION_OUTLINEDKERNEL_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace smelt {

/// Name of the attribute (i64) on an outlined kernel function: bytes of its workspace argument.
/// Absent: it has none.
inline constexpr llvm::StringLiteral workspaceAttribute = "kernel.workspace";

/// The kernel ops of an outlined kernel function: one, or for a GPU several that do not wait for
/// each other (smelt-join-launches). None of any other function.
llvm::SmallVector<mlir::Operation *> getOutlinedKernels(mlir::func::FuncOp function);
/// The kernel op of an outlined function that has one, or null.
mlir::Operation *getOutlinedKernel(mlir::func::FuncOp function);

/// Bytes of its workspace argument; 0: it has none.
int64_t getPlannedWorkspace(mlir::func::FuncOp function);
/// Plans a workspace of so many bytes; 0: none.
void setPlannedWorkspace(mlir::func::FuncOp function, int64_t bytes);

} // namespace smelt
#endif
