//===- GPURowScope.h - What a row emitter remembers -------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWSCOPE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWSCOPE_H

#include "compiler/Conversion/KernelToGPU/GPURowEmitter.h"
#include <tuple>

namespace smelt {

/// Values emitted in one block of code, and usable in it and in what nests in it.
struct GPURowEmitter::Scope {
  using ChunkKey = std::tuple<void *, void *, void *, int64_t, unsigned>;
  std::map<ChunkKey, Values> chunks; ///< By value, row, dynamic part, offset, count.
  std::map<std::tuple<void *, void *, int64_t>, SegmentValues> segments; ///< By op, row, slice.
  std::map<void *, Value> sliceStarts;                                   ///< By dynamic part.
  std::map<std::tuple<void *, int64_t, bool>, Value> starts; ///< By row, stride, whether i32.
  std::map<std::tuple<void *, int64_t, void *>, Neighbour> neighbours;
  std::map<void *, Value> uniforms;
  std::map<std::pair<int64_t, int64_t>, Value> lanes; ///< By features a thread, and remainder.
};

/// Emits in scope `scopeCount - 1`: 1 for what all rows share, 2 for what a row's threads share.
template <typename F> auto GPURowEmitter::emitAt(unsigned scopeCount, F &&emit) {
  mlir::OpBuilder::InsertionGuard guard(b);
  llvm::SmallVector<Scope *> savedScopes = scopes;
  mlir::Operation *savedLoop = rowLoop;
  if (scopeCount == 1)
    b.setInsertionPoint(mark);
  else if (rowLoop)
    b.setInsertionPoint(rowLoop);
  rowLoop = nullptr;
  if (scopes.size() > scopeCount)
    scopes.resize(scopeCount);
  struct Restore {
    GPURowEmitter &emitter;
    llvm::SmallVector<Scope *> &scopes;
    mlir::Operation *loop;
    ~Restore() { emitter.scopes = scopes, emitter.rowLoop = loop; }
  } restore{*this, savedScopes, savedLoop};
  return emit();
}

} // namespace smelt
#endif
