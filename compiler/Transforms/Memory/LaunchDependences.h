//===- LaunchDependences.h - What must run before what ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_MEMORY_LAUNCHDEPENDENCES_H
#define SMELT_COMPILER_TRANSFORMS_MEMORY_LAUNCHDEPENDENCES_H

#include "compiler/Transforms/Memory/BufferLifetimes.h"
#include "compiler/Transforms/Memory/LaunchOrder.h"
#include "llvm/ADT/DenseSet.h"

namespace smelt {

/// What the launches read and write. Ranges stand for the bytes of their base that they cover.
class LaunchDependences {
public:
  explicit LaunchDependences(mlir::ModuleOp module);

  /// The launches of `program` with their dependences and the buffers that share memory. What makes
  /// gradients is awaited by other ranks, if there are any.
  LaunchGraph buildGraph(mlir::exec::ProgramOp program, bool hasRanks = false) const;

private:
  /// Bytes [begin, end) of a buffer that is no range itself.
  struct Bytes {
    mlir::StringAttr buffer;
    int64_t begin = 0, end = 0;
  };

  llvm::DenseMap<mlir::StringAttr, Bytes> bytes_;
  llvm::DenseSet<mlir::StringAttr> gradients_;
  llvm::DenseMap<mlir::StringAttr, int64_t> shared_; ///< Bytes of the buffers that share memory.
};

} // namespace smelt
#endif
