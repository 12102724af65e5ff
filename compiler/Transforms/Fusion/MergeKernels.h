//===- MergeKernels.h - Moving rows between kernels -------------*- C++ -*-===//
//
// The rewrites that every fusion is made of. They cannot fail: FusionRules.h says beforehand
// whether they are right. While a pass runs, kernels need not stand behind their operands;
// `sortKernels` restores the order.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_TRANSFORMS_FUSION_MERGEKERNELS_H
#define SMELT_COMPILER_TRANSFORMS_FUSION_MERGEKERNELS_H

#include "dialects/Kernel/KernelOps.h"
#include <optional>

namespace smelt {

/// Marks kernels whose results are stored for good: loads compute something from them, and were
/// chosen because of that.
inline constexpr llvm::StringLiteral storedAttribute = "smelt.stored";

/// The region of a kernel op that yields its results, if it has one.
std::optional<unsigned> getResultRegion(mlir::Operation *kernel);

/// Computes `guest` in the result region of `host`, whose results it reads or whose result region
/// reads its results (or neither). Both ops are replaced; the new one has the host's results, then
/// the guest's. Unused results and inputs are dropped.
mlir::Operation *mergeIntoResult(mlir::kernel::KernelOpInterface host,
                                 mlir::kernel::RowwiseOp guest);

/// Computes what `consumer`'s region reads of `producer` in that region itself. The producer stays;
/// erase it when nobody uses it. Returns the consumer, which may have been replaced.
mlir::Operation *cloneIntoRegion(mlir::kernel::RowwiseOp producer,
                                 mlir::kernel::KernelOpInterface consumer, unsigned region);

/// Drops dead ops, inputs and results of the kernel; returns what is left (null: nothing).
mlir::Operation *simplifyKernel(mlir::Operation *kernel);

/// Reads first, then every op behind what it uses, else in the old order; writes last.
void sortKernels(mlir::Block &block);

} // namespace smelt

#endif
