//===- KernelUnits.h - A module's kernels, one by one -----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CPU_KERNELUNITS_H
#define SMELT_COMPILER_TARGET_CPU_KERNELUNITS_H

#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace smelt {

/// What is compiled by itself: a kernel with the declarations and constant tables that it uses.
struct KernelUnit {
  mlir::ModuleOp module;          ///< Nested in the one that was split.
  std::string hash;               ///< Of the unit's text: SHA-256, hexadecimal.
  std::string symbol;             ///< The kernel's name in it, after the hash.
  std::vector<std::string> names; ///< The kernel's names in the module that was split.
};

/// Leaves nothing in `module` but nested modules, one for each kernel; kernels that differ only in
/// name are one unit. A unit's text does not depend on what else `module` holds. Functions that
/// call each other stay together, as one unit without names that keeps its symbols.
std::vector<KernelUnit> splitIntoUnits(mlir::ModuleOp module);

} // namespace smelt
#endif
