//===- WarpStore.h - Rows of bf16 from a warp's fragments ---------*- C++ -*-===//
//
// Fragments hold pairs of neighbours; memory wants whole rows. A warp's sixteen rows go through a
// piece of shared memory of its own: written as pairs, read as 16 bytes a lane.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPSTORE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPSTORE_H

#include "compiler/Conversion/KernelToGPU/Ampere/WarpMultiply.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

namespace smelt::gpu {

/// A lane's place when rows are read back.
struct WarpLine {
  Value line, piece; ///< lane / pieces of a row, lane mod them.
  static WarpLine get(CodeBuilder &code, SharedTile rows, Value lane);
};

/// `area`: 16 rows of shared memory of this warp. `word(n8, h)` is the bf16 pair in block n8 of 8
/// columns, row lane/4 + 8·h; `store(moved, words)` stores 8 columns at piece `piece` of row `line`
/// + `moved`, `line` and `piece` being this lane's WarpLine.
void storeWarpRows(CodeBuilder &code, Value area, SharedTile rows, const FragmentThread &thread,
                   llvm::function_ref<Value(int n8, int h)> word,
                   llvm::function_ref<void(int64_t moved, Value words)> store);

} // namespace smelt::gpu
#endif
