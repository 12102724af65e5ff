//===- RowEmitterScope.h - What an emitter remembers ------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_ROWEMITTERSCOPE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_ROWEMITTERSCOPE_H

#include "compiler/Conversion/KernelToCPU/RowEmitter.h"
#include <tuple>

namespace smelt {

/// Values emitted in one block of code, and usable in it and in what nests in it.
struct RowEmitter::Scope {
  using ChunkKey = std::tuple<void *, void *, void *, int64_t,
                              unsigned>;    // value, row, dynamic part, offset, lanes
  using RowKey = std::pair<void *, void *>; // value or op, row
  std::map<ChunkKey, mlir::Value> chunks;
  std::map<RowKey, mlir::Value> scratch;
  std::map<RowKey, llvm::SmallVector<mlir::Value>> segments;
  std::map<std::tuple<void *, int64_t, void *>, Neighbour> neighbours;
};

/// Remembers where code goes and what can be used there, and goes back at its end.
struct RowEmitter::Return {
  RowEmitter &emitter;
  mlir::OpBuilder::InsertionGuard guard{emitter.b};
  llvm::SmallVector<Scope *> scopes = emitter.scopes;
  mlir::Operation *rowLoop = emitter.rowLoop;

  ~Return() { emitter.scopes = scopes, emitter.rowLoop = rowLoop; }
};

/// Emits with the insertion point before the outermost chunk loop, so that the code runs once per
/// row.
template <typename F> auto RowEmitter::atRowLevel(F &&emit) {
  Return back{*this};
  if (rowLoop) {
    b.setInsertionPoint(rowLoop);
    rowLoop = nullptr;
    scopes.resize(2);
  }
  return emit();
}

/// Emits at the mark, so that the code runs once for all rows.
template <typename F> auto RowEmitter::atMark(F &&emit) {
  Return back{*this};
  b.setInsertionPoint(mark);
  rowLoop = nullptr;
  scopes.resize(1);
  return emit();
}

} // namespace smelt
#endif
