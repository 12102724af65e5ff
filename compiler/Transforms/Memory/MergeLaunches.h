//===- MergeLaunches.h - Two launches as one --------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_MEMORY_MERGELAUNCHES_H
#define SMELT_COMPILER_TRANSFORMS_MEMORY_MERGELAUNCHES_H

#include "compiler/Transforms/Memory/LaunchOrder.h"
#include "compiler/Transforms/Memory/LaunchShape.h"
#include "dialects/Exec/ExecOps.h"

namespace smelt {

/// Launches of a program, by their number in its graph, that run as one.
using LaunchGroup = llvm::SmallVector<unsigned, 4>;

/// How many bytes the plan of the graph's buffers takes when groups run one after the other.
int64_t getPlannedBytes(const LaunchGraph &graph, llvm::ArrayRef<LaunchGroup> groups);
/// The same for launches one by one.
int64_t getPlannedBytes(const LaunchGraph &graph);

/// The launches of two kernels that stand beside each other.
std::vector<LaunchShape> joinShapes(llvm::ArrayRef<LaunchShape> first,
                                    llvm::ArrayRef<LaunchShape> second);

/// One launch in the place of the first of both, of a function with both kernels and the launches
/// `shapes`. One buffer holds the workspaces of both.
mlir::exec::LaunchOp mergeLaunches(mlir::exec::LaunchOp first, mlir::exec::LaunchOp second,
                                   llvm::ArrayRef<LaunchShape> shapes, mlir::SymbolTable &symbols);

} // namespace smelt
#endif
