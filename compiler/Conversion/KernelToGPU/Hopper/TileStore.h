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
#include <functional>

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

/// How much of a tile is done: blocks of 64 rows and of 8 columns.
struct TileExtent {
  int rowBlocks = 2, columnBlocks = 16;
};

/// ldmatrix and stmatrix: four 8 × 8 matrices of 16-bit elements, a word of each a thread, as they
/// are or (layout col) transposed.
llvm::SmallVector<Value> loadMatrices(CodeBuilder &code, Value address,
                                      mlir::NVVM::MMALayout layout);
void storeMatrices(CodeBuilder &code, Value address, llvm::ArrayRef<Value> words,
                   mlir::NVVM::MMALayout layout = mlir::NVVM::MMALayout::row);

/// Stores two neighbours as `element` (bf16 or f32).
void storePair(CodeBuilder &code, Type element, Value low, Value high, Value address);

/// Stores pairs to a row-major [rows, columns] matrix of `element` at `pointer`; `row` and `column`
/// are the thread's first; the cells of `extent`.
void storePairs(CodeBuilder &code, Value pointer, Type element, int64_t rows, int64_t columns,
                Value row, Value column, CellValue value, TileExtent extent = {});

/// Stores numbers of rows and heads to an f32 matrix [rows, heads], by the first thread of each
/// quad: blocks [firstBlock, endBlock) of 64 rows; `width`: columns of a head; `value` is asked for
/// the first cell of a head, by all threads.
void storeHeadNumbers(CodeBuilder &code, Value pointer, int64_t rows, int64_t heads, int64_t width,
                      Value row, Value column, int firstBlock, int endBlock, CellValue value);

/// Bytes of a 64 × 64 bf16 chunk.
inline constexpr int64_t chunkBytes = 64 * 64 * 2;

/// The staging area of one warp group: chunks for bf16 outputs on their way to memory and for tiles
/// of bf16 matrices that the result region reads. Three ways to use it:
/// - no input, or one, which the first output replaces: 128 rows at once where there are four
///   chunks, else 64 after 64;
/// - two inputs, which the first two outputs replace: 64 rows after 64;
/// - one input beside the outputs (`isBeside`), for outputs that are stored before the one that
///   reads the input: 64 rows after 64.
class StagingArea {
public:
  /// With inputs, `chunks` must be 4. `arrived`: the barrier that announces inputs; `barrier`: a
  /// named barrier of the group's 128 threads.
  StagingArea(CodeBuilder &code, Value area, int64_t chunks, Value barrier, Value arrived,
              const FragmentThread &thread);

  /// Where a tile lies in a matrix; `group` is null for two-dimensional maps.
  struct Place {
    Value column, row, group;
  };
  /// A tile of a matrix that the region reads; chunk c of a row begins at place.column +
  /// c·chunkColumns: 64, or 0 where both halves of the tile read the same columns.
  struct Input {
    Value map;
    Place place;
    int64_t chunkColumns = 64;
  };
  struct Inputs {
    llvm::SmallVector<Input> list; ///< At most 2.
    bool isBeside = false;
    /// How often their barrier completes in a tile.
    int64_t countPasses() const { return list.size() == 2 || isBeside ? 2 : 1; }
  };
  /// A matrix to store; `begin` runs before its values are asked for, in each pass; `reads`: the
  /// inputs (bit i: input i) that they depend on.
  struct Output {
    Value map;
    Place place;
    std::function<void()> begin;
    std::function<Value(Cell)> value;
    unsigned reads = 0;
    /// If given, and true: the tile is stored a second time, as its transpose, where row and column
    /// are exchanged.
    Value isMirrored = {};
  };

  /// Thread 0 waits until the stores before have read the area; the others learn it at their next
  /// barrier.
  void reclaim();
  /// Thread 0, after reclaim: starts loading a tile's inputs.
  void prefetch(const Inputs &inputs);
  /// All threads, before store: the inputs that were prefetched; `parity` of their first wait.
  void beginInputs(const Inputs &inputs, Value parity);
  /// The two neighbours (p = 0, 1) at a cell of input `index`; inside the values of store only.
  std::pair<Value, Value> readInput(unsigned index, Cell cell);

  /// Done in each pass of store before anything is stored over its inputs: `run` is given blocks
  /// [first, end) of 64 rows.
  struct Before {
    llvm::function_ref<void(int first, int end)> run;
    bool readsInputs;
  };
  /// Converts and stores a tile of several matrices: those that read inputs come first, or last
  /// where the input lies beside. The area was reclaimed and a barrier passed.
  void store(llvm::ArrayRef<Output> outputs, Before before = {});

private:
  int64_t chunksPerPass() const { return inputs.countPasses() == 2 ? 2 : chunks; }
  Value getChunk(unsigned slot, int m, int c);
  Value getMatrixAddress(unsigned slot, int m, int n8);
  void loadPass(int64_t firstChunk);
  void storePass(const Output &output, bool keepsInput, unsigned slot, int64_t firstChunk);
  /// `packed`: four 8 × 8 matrices for each 16 columns of the pass, as stmatrix takes them.
  void storeMirrored(const Output &output, llvm::ArrayRef<llvm::SmallVector<Value>> packed,
                     unsigned slot, int64_t firstChunk);
  /// Makes what was written visible to TMA and lets thread 0 store the pass's chunks.
  void storeChunks(const Output &output, unsigned slot, int64_t firstChunk, bool isMirrored);

  CodeBuilder &code;
  Value area;
  int64_t chunks;
  Value barrier, arrived;
  const FragmentThread &thread;
  Value matrixRow;        ///< Where this lane's rows of ldmatrix and stmatrix begin.
  Value matrixOffsets[4]; ///< Of 16-column steps: swizzled.
  Value mirroredRow;      ///< Where this lane's rows of a transposed store begin: swizzled.
  Inputs inputs;
  Value parity;
  llvm::DenseMap<std::pair<unsigned, int>, Value> words; ///< bf16 pairs read in this pass.
};

} // namespace smelt::gpu
#endif
