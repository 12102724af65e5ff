//===- TileStore.h - From registers to a matrix ------------------*- C++ -*-===//
//
// Two ways for a warp group to store its 128 × 128 tile: pairs straight from registers (f32, or
// what the accelerator cannot address), or, for bf16, 64 × 64 chunks through shared memory by TMA,
// which leaves out what lies outside the matrix.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_TILESTORE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_TILESTORE_H

#include "compiler/Conversion/KernelToGPU/Hopper/AsyncCopy.h"
#include "compiler/Conversion/KernelToGPU/Hopper/FragmentRegion.h"

namespace smelt::gpu {

/// A thread's place in its warp group.
struct FragmentThread {
  Value isFirst;     ///< Thread 0 of the warp group.
  Value row;         ///< 16·warp + lane/4
  Value pair;        ///< 2·(lane mod 4)
  Value warpInGroup; ///< 0 … 3
  Value lane;
};
FragmentThread getFragmentThread(CodeBuilder &code, Value thread);

using CellValue = llvm::function_ref<Value(Cell)>;

/// Stores pairs to a row-major [rows, columns] matrix of `element` at `pointer`; `row` and `column`
/// are the thread's first.
void storePairs(CodeBuilder &code, Value pointer, Type element, int64_t rows, int64_t columns,
                Value row, Value column, CellValue value);

/// Bytes of a 64 × 64 bf16 chunk.
inline constexpr int64_t chunkBytes = 64 * 64 * 2;

/// The staging area of one warp group: `chunks` (2 or 4) chunks, a named barrier of its 128
/// threads.
class StagedStore {
public:
  StagedStore(CodeBuilder &code, Value area, int64_t chunks, Value barrier,
              const FragmentThread &thread);

  /// Thread 0 waits until the stores before have read the area; the others learn it at their next
  /// barrier.
  void reclaim();
  /// Converts and stores a tile at column `column`, row `row` of `map`; `group` is the third
  /// coordinate (null: two-dimensional). `isFree`: the area was reclaimed and a barrier passed.
  void store(Value map, Value column, Value row, Value group, bool isFree, CellValue value);

private:
  Value getChunk(int m, int c) { return code.at(area, (2 * m + c) % chunks * chunkBytes); }

  CodeBuilder &code;
  Value area;
  int64_t chunks;
  Value barrier;
  const FragmentThread &thread;
  Value matrixRow;        ///< Where this lane's rows of stmatrix begin.
  Value matrixOffsets[4]; ///< Of 16-column steps: swizzled.
};

} // namespace smelt::gpu
#endif
