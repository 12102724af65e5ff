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
/// are the thread's first; the first `blocks` blocks of 8 columns.
void storePairs(CodeBuilder &code, Value pointer, Type element, int64_t rows, int64_t columns,
                Value row, Value column, CellValue value, int blocks = 16);

/// Bytes of a 64 × 64 bf16 chunk.
inline constexpr int64_t chunkBytes = 64 * 64 * 2;

/// The staging area of one warp group: chunks for bf16 outputs on their way to memory and, in the
/// same places, for tiles of bf16 matrices that the result region reads. A tile is done in passes:
/// one of four chunks (no input or one; 128 rows), or two of two chunks (64 rows each) where the
/// area is smaller or holds two inputs.
class StagingArea {
public:
  /// `inputs` at most 2; with 2, `chunks` must be 4. `arrived`: the barrier that announces inputs;
  /// `barrier`: a named barrier of the group's 128 threads.
  StagingArea(CodeBuilder &code, Value area, int64_t chunks, Value barrier, Value arrived,
              const FragmentThread &thread);

  /// Where a tile lies in the matrices of inputs and outputs; `group` is null for two-dimensional
  /// maps.
  struct Place {
    Value column, row, group;
  };

  /// Thread 0 waits until the stores before have read the area; the others learn it at their next
  /// barrier.
  void reclaim();
  /// Thread 0, after reclaim: starts loading a tile's inputs.
  void prefetch(llvm::ArrayRef<Value> inputMaps, const Place &place);
  /// All threads, before store: the inputs that were prefetched; `parity` of their first wait.
  void beginInputs(llvm::ArrayRef<Value> inputMaps, const Place &place, Value parity);
  /// The two neighbours (p = 0, 1) at a cell of input `index`; inside the `value` of store only.
  std::pair<Value, Value> readInput(unsigned index, Cell cell);
  /// How the parity of `arrived` changes by a tile with so many inputs.
  static Value advanceParity(CodeBuilder &code, Value parity, size_t inputs) {
    return inputs == 1 ? code.bitXor(parity, 1) : parity;
  }

  /// Converts and stores a tile. `isFree`: the area was reclaimed and a barrier passed.
  void store(Value map, const Place &place, bool isFree, CellValue value);

private:
  int64_t chunksPerPass() const { return inputs.size() == 2 ? 2 : chunks; }
  Value getChunk(unsigned input, int m, int c);
  Value getMatrixAddress(unsigned input, int m, int n8);
  void loadPass(llvm::ArrayRef<Value> maps, const Place &place, int64_t firstChunk);

  CodeBuilder &code;
  Value area;
  int64_t chunks;
  Value barrier, arrived;
  const FragmentThread &thread;
  Value matrixRow;        ///< Where this lane's rows of ldmatrix and stmatrix begin.
  Value matrixOffsets[4]; ///< Of 16-column steps: swizzled.
  llvm::SmallVector<Value> inputs;
  Place inputPlace;
  Value parity;
  llvm::DenseMap<std::pair<unsigned, int>, Value> words; ///< bf16 pairs read in this pass.
};

} // namespace smelt::gpu
#endif
