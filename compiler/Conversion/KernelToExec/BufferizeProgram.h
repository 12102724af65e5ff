//===- BufferizeProgram.h - One program's launches and buffers --*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOEXEC_BUFFERIZEPROGRAM_H
#define SMELT_COMPILER_CONVERSION_KERNELTOEXEC_BUFFERIZEPROGRAM_H

#include "compiler/Conversion/KernelToExec/Storage.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

namespace smelt {

/// The buffers that all programs share, by what they hold.
struct SharedBuffers {
  llvm::DenseMap<mlir::StringAttr, Storage::Place> tensors;   ///< Parameters and states.
  llvm::DenseMap<mlir::StringAttr, Storage::Place> gradients; ///< By parameter.
  llvm::DenseMap<mlir::StringAttr, Storage::Place> settings;
};

struct BufferizationCounts {
  unsigned launches = 0, inPlace = 0, copies = 0;
};

/// Makes the exec.program of `function`, which stays. Copy kernels are added to the module through `symbols`.
llvm::LogicalResult bufferizeProgram(mlir::func::FuncOp function, mlir::SymbolTable &symbols, Storage &storage, SharedBuffers &shared,
                                     BufferizationCounts &counts);

} // namespace smelt
#endif
