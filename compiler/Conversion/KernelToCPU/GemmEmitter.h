//===- GemmEmitter.h - The pieces of kernel.gemm put together ---*- C++ -*-===//
// The schedules are described in README.md; GemmPlan chooses, GemmPack and GemmTile do the work.
// The parts of the class: EmitGemm.cpp (what schedules share), GemmRows.cpp, GemmSplitK.cpp (the
// schedules), GemmPanels.cpp (products of blocks), GemmPrefetch.cpp.
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_GEMMEMITTER_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_GEMMEMITTER_H

#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "compiler/Conversion/KernelToCPU/GemmPack.h"
#include "compiler/Conversion/KernelToCPU/GemmPlan.h"
#include "compiler/Conversion/KernelToCPU/GemmTile.h"
#include "compiler/Conversion/KernelToCPU/RowEmitter.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace smelt {

using namespace mlir; // NOLINT: private to the gemm's sources.

/// The result region applied to tiles: by `rows`, when `last` (i1; null: always) holds; the tile's
/// row 0 is `firstRow` of the result.
struct TileEnd {
  RowEmitter *rows = nullptr;
  Value firstRow, last;
  /// Called with the tile's panel and row within the block, and every eighth step of K, inside the
  /// tile's loop.
  std::function<void(Value panel, Value row, Value step)> prefetch;
};

class GemmEmitter {
public:
  GemmEmitter(kernel::GemmOp op, KernelFunction &function, const GemmPlan &plan)
      : op(op), function(function), b(function.builder()), plan(plan),
        f32(function.builder().getF32Type()) {}

  void emit();

private:
  Region &getRegion(unsigned index) { return op->getRegion(index); }
  SmallVector<RowSource> getSources(unsigned region, const RowProgram &program,
                                    RowSource accumulator);
  /// The flat memory of op(A) or op(B) as stored; null if its rows are evaluated block by block.
  Value getOperand(unsigned region, bool identity, bool materialised, int64_t offset,
                   int64_t floats);
  /// Evaluates all rows of a region into `memory`.
  void materialise(unsigned region, const RowProgram &program, Value memory);
  std::unique_ptr<RowEmitter> makeResultEmitter(RowSource accumulator);
  /// The result region on rows [begin, end) of a group, a block.
  void emitResult(RowEmitter &rows, Value group, Value begin, Value end);

  /// Index in scratch of a chunk's first feature, for rows from `low` on that start at `origin`.
  Value getScratchIndex(Value origin, Value low, Value row, int64_t rowStride,
                        const FeatureChunk &chunk);
  Value loadChunk(Value index, const FeatureChunk &chunk);
  void storeChunk(Value index, const FeatureChunk &chunk, Value value);

  void setFinish(GemmTile &tile, const TileEnd &end, Value panel, bool whole, Value row);
  /// The accumulator of emitters that setFinish uses.
  RowSource getTileSource();
  /// Rows [0, rows) of C at `c`, panels [panel0, panel1), `length` steps of K. `ragged`: rows %
  /// tileRows if not 0; 0 if unknown.
  void emitPanels(Value rows, int64_t ragged, Value panel0, Value panel1, Value length,
                  MatrixView a, int64_t aTileStride, MatrixView b0, int64_t bPanelStride,
                  MatrixView c, bool maskC, Value overwrite,
                  llvm::function_ref<void(Value panel, Value row)> beforeTile, const TileEnd &end);

  /// Copies `length` columns (a multiple of 4) of `count` rows of A from `from` on to scratch.
  void copyRows(Value from, Value count, Value length, Value scratchA);

  // While tiles are computed, each asks for its share of the memory that the code between tiles
  // will want, so that this code does not wait for it: processors fetch ahead within a page and a
  // stream, but not across the jumps from block to block.

  /// Number of tiles that a block of the rows schedule computes.
  int64_t getTilesPerBlock() const;
  Value getTileNumber(Value panel, Value row);
  /// Share `tile` of `tiles` of the `elements` elements at memory[start].
  void prefetchShare(Value memory, Value start, int64_t elements, Value tile, int64_t tiles);
  void prefetchLines(Value memory, Value first, int64_t lines);
  /// The tile at `row` and `panel` of a matrix like C.
  void prefetchTile(Value memory, Value row, Value panel);
  /// For the tile at `panel` and `row` of the block of rows from `begin` on, the block's `tile`-th:
  /// its share of what the result region reads and writes, and of what the next block's region a
  /// reads.
  void prefetchRows(Value begin, Value panel, Value row, Value tile);
  /// For an item of the splitK schedule: a line of the next slab of B, and for every other call one
  /// of A. They are spread over the tiles' loops, because a burst of them would hold up the tiles'
  /// own loads (seen: −10 %).
  void prefetchSlabs(Value k0, Value row0, Value panel0, Value tile, Value step);

  /// What emitPanels wants as `ragged` for blocks of C whose rows end at m; -1 if there is no
  /// remainder.
  int64_t getRaggedRows() const { return plan.m % plan.tileRows ? plan.m % plan.tileRows : -1; }
  void emitRows();
  /// Shares the blocks of rows (of each group, of each group of columns) among the threads; `begin`
  /// is a row of the group, `panel0` the first panel of the columns. With a symmetric C, a block
  /// begins at the diagonal and the first blocks have the most to do: they alternate with the last.
  void forRowBlocks(llvm::function_ref<void(Value group, Value begin, Value panel0)> body);

  void emitSplitK();
  /// Adds the partial C's in order, and runs the result region.
  void emitCombination();
  /// Σ over the ranges of K, in order, of the vector (element) at `index` of the partial C's. A
  /// vector may end in the next row or range of K; the last one is followed by padding.
  Value sumPartials(Value index);
  Value sumScalars(Value index);
  Value sumParts(Value index, llvm::function_ref<Value(Value)> load);

  Value isLast(Value k0, Value end) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::sge, function.add(k0, plan.blockK), end);
  }
  Value minimum(Value a, int64_t other) { return minimum(a, function.index(other)); }
  Value minimum(Value a, Value other) { return arith::MinSIOp::create(b, a, other); }

  kernel::GemmOp op;
  KernelFunction &function;
  ImplicitLocOpBuilder &b;
  const GemmPlan &plan;
  Type f32;
  Value operandA, operandB, panels, partialC, totals, scratch, scratchOrigin;
  Value tileSum; ///< What getTileSource gives.
};

} // namespace smelt
#endif
