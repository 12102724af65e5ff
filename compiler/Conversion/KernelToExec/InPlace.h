//===- InPlace.h - May a kernel write where it reads? -----------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOEXEC_INPLACE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOEXEC_INPLACE_H

#include "dialects/Kernel/KernelOps.h"

namespace smelt {

/// May result `result` of a kernel function lie exactly on argument `argument`? Only if the kernel reads each element of the argument
/// for nothing but the same element of that result; a rowwise kernel may also use it for the same element of other results, and for
/// sums: it reads a row for its sums first, and an element once for all results.
bool mayOverwrite(mlir::func::FuncOp kernel, unsigned argument, unsigned result);

/// The argument that the kernel's only result is a reshape of, if the kernel does nothing else.
std::optional<unsigned> getReshapedArgument(mlir::func::FuncOp kernel);

} // namespace smelt
#endif
