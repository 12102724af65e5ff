//===- BufferLifetimes.h - When each buffer is alive ------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_MEMORY_BUFFERLIFETIMES_H
#define SMELT_COMPILER_TRANSFORMS_MEMORY_BUFFERLIFETIMES_H

#include "dialects/Exec/ExecOps.h"
#include "llvm/ADT/DenseMap.h"

namespace smelt {

/// Launches of all programs are numbered one after the other: programs do not run at the same time, so lifetimes of different programs
/// never meet.
struct BufferLifetime {
  mlir::exec::BufferOp buffer;
  int64_t first = 0, last = 0;
  /// Launches of updates of several ranks may yet change places, and come between the last ones of a micro-batch
  /// (smelt-place-collectives): all launches of such an update; is the buffer alive in the last eighth of a micro-batch?
  int64_t wholeFirst = first, wholeLast = last;
  bool ofUpdate = false, atEndOfMicroBatch = false;
};

struct BufferLifetimes {
  /// Buffers that keep their contents for the whole run, in module order.
  llvm::SmallVector<mlir::exec::BufferOp> own;
  /// Workspace buffers of one program, in module order.
  llvm::SmallVector<BufferLifetime> shared;
  /// Ranges of other buffers, with their base.
  llvm::SmallVector<std::pair<mlir::exec::BufferOp, mlir::exec::BufferOp>> ranges;
};

BufferLifetimes findBufferLifetimes(mlir::ModuleOp module);

} // namespace smelt
#endif
