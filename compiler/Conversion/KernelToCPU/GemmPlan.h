//===- GemmPlan.h - Tiles, schedule and workspace of a gemm -----*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_GEMMPLAN_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_GEMMPLAN_H

#include "compiler/Conversion/KernelToCPU/RowProgram.h"
#include "compiler/Target/CPU/CPUTarget.h"
#include "dialects/Kernel/KernelOps.h"

namespace smelt {

/// The argument that a region yields as it is or widened to f32, or null: loads do that.
mlir::BlockArgument getLoadedArgument(mlir::Region &region);

/// How `kernel.gemm` C[M, N] = op(A)·op(B) runs on a CPU. README.md explains the two schedules.
///  - rows:   op(B) is packed into panels once; threads share blocks of rows; each block passes
///  through the result region at once.
///  - splitK: for transpose_a (weight gradients: small C, long K). Threads share (rows × columns ×
///  range of K) items, each with its own
///            partial C, added in order afterwards.
/// Groups are products of their own, below each other in all matrices: m, n and k are those of one,
/// and no block, item or partial sum belongs to two.
struct GemmPlan {
  GemmPlan(mlir::kernel::GemmOp op, const CPUTarget &target);

  int64_t groups, m, n, k;
  bool transposeA, transposeB;
  int64_t lanes;

  /// Register tile: tileRows x panelVectors vectors. B's panels are panelWidth columns wide, zero
  /// beyond n.
  int64_t tileRows, panelVectors, panelWidth, panels, paddedN;
  /// Steps of K between two visits of an accumulator's memory.
  int64_t blockK;
  /// Rows of C per block (per item with splitK), a multiple of tileRows.
  int64_t blockM;

  /// `rows` only: blocks of rows are cut into this many groups of columns (panelsPerGroup panels
  /// each), so that a thread packs the panels that it multiplies with.
  int64_t columnGroups = 1, panelsPerGroup;

  bool splitK;
  /// splitK only: panels per item, and ranges of K (each splitLength long, a multiple of blockK
  /// except at the end).
  int64_t blockPanels = 0, splits = 1, splitLength = 0;

  /// A and B are loaded from an input. (The rows schedule reads A in place: f32 only.)
  bool identityA, identityB;
  /// The result region yields the accumulator itself: C is built in the output.
  bool identityResult;
  /// C = X·Xᵀ: blocks compute what lies on and above their diagonal block; the rest is copied from
  /// it.
  bool symmetric = false;
  /// Each result depends on the accumulator element by element.
  bool elementwiseResult = false;
  /// The result region is cheap and element-wise: it is applied to the registers of each tile.
  bool finishTiles = false;
  /// B's panels are packed by each item for its range (else once, for all).
  bool localPanels = false;
  /// Region values evaluated as a whole before anything else.
  bool materialiseA = false, materialiseB = false;

  RowProgram programA, programB, programResult;
  /// Rows of C beyond a block's own that its result region reads.
  RowReach reach;
  /// Rows per block of the pass over result rows (splitK), and number of blocks, of one group, that
  /// leave partial sums.
  int64_t resultBlock, resultBlocks;

  /// One thread's scratch, in floats; rows of A's and C's are this far apart.
  int64_t scratchRows = 0, scratchA = 0, scratchB = 0, scratchC = 0, strideA = 0, strideC = 0;
  /// `rows` only: A's part of a block is copied to scratch before use, because A's own row stride
  /// maps a tile's rows to the same cache sets.
  bool copyA = false;
  int64_t threads;

  // Workspace: byte offsets.
  int64_t panelsOffset = 0, operandAOffset = 0, operandBOffset = 0, partialCOffset = 0,
          totalsOffset = 0, scratchOffset = 0, bytes = 0;
  int64_t scratchFloats() const { return scratchA + scratchB + scratchC; }

  /// Empty if the gemm can be generated, else why not.
  std::string whyNot;

private:
  void chooseSplit();
  void chooseColumnGroups();

public:
  /// Rows of C: those of all groups.
  int64_t rows() const { return groups * m; }
  int64_t rowBlocks() const { return (m + blockM - 1) / blockM; }
  int64_t columnBlocks() const { return (panels + blockPanels - 1) / blockPanels; }
};

} // namespace smelt
#endif
