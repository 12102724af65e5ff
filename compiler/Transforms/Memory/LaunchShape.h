//===- LaunchShape.h - Launches of a kernel and what fits beside them -*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_MEMORY_LAUNCHSHAPE_H
#define SMELT_COMPILER_TRANSFORMS_MEMORY_LAUNCHSHAPE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <vector>

namespace smelt {

/// On an outlined kernel function: its launches on the GPU that it is planned for, five numbers
/// each, in the order of LaunchShape. Functions without it (all, for the CPU) are never joined.
inline constexpr llvm::StringLiteral launchesAttribute = "kernel.launches";

/// What one launch of a kernel takes.
struct LaunchShape {
  int64_t threads = 0;     ///< Of a block.
  int64_t blocks = 0;      ///< Along x; 0 if they cannot be numbered from somewhere else.
  int64_t sharedBytes = 0; ///< Dynamic.
  int64_t staticSharedBytes = 0;
  int64_t parameterBytes = 0;

  /// One launch of the blocks of both.
  LaunchShape beside(const LaunchShape &other) const;
  /// Whether that launch can be, and leaves each of the two as many blocks on a multiprocessor as
  /// it has alone.
  bool canStandBeside(const LaunchShape &other) const;
};

std::vector<LaunchShape> getLaunchShapes(mlir::func::FuncOp function);
void setLaunchShapes(mlir::func::FuncOp function, llvm::ArrayRef<LaunchShape> shapes);

/// One launch of two kernels: positions in their lists; −1: only the other kernel has a part in it.
struct JoinedLaunch {
  int first = -1, second = -1;
};

/// The launches of two independent kernels in one list that keeps both orders, with as many joined
/// as can be.
std::vector<JoinedLaunch> matchLaunches(llvm::ArrayRef<LaunchShape> first,
                                        llvm::ArrayRef<LaunchShape> second);

} // namespace smelt
#endif
