//===- ResultStage.h - From a tile of a product to outputs -------*- C++ -*-===//
//
// Runs a kernel.gemm's result region on a tile of accumulators and stores what it gives: by TMA
// through a staging area, or as pairs from registers.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_RESULTSTAGE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_RESULTSTAGE_H

#include "compiler/Conversion/KernelToGPU/Hopper/GemmPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

namespace smelt::gpu {

/// A tile's place, as values of the running kernel; `group` is null for a product without groups.
struct TileCoordinates {
  Value split, row, column, group;
};
/// Of tile number `tile` of 128 × 128: column by column, row by row, group by group, part of k by
/// part of k; of a symmetric product those on and above the diagonal.
TileCoordinates locateTile(CodeBuilder &code, const GemmPlan &plan, Value tile);

/// Serves the kernel that multiplies and the sum of splits, which may not stage.
class ResultStage {
public:
  ResultStage(CodeBuilder &code, GPUFunction &function, mlir::kernel::GemmOp op,
              const GemmPlan &plan, bool mayStage);

  void begin() { region.evaluateScalars(); }
  /// Before a tile is multiplied: thread 0 starts to load what the region will read. The staging
  /// area was reclaimed.
  void prefetch(const TileCoordinates &tile, StagingArea &staging);
  /// Before a tile is multiplied, all threads: loads factors of its rows.
  void prefetchFactors(const TileCoordinates &tile, const FragmentThread &thread) {
    region.prefetchFactors(code.add(tile.row, thread.row), code.add(tile.column, thread.pair),
                           tile.group);
  }
  /// Stores what no product is needed for: before the tile is multiplied, where there is such a
  /// time.
  void storeBeside(const TileCoordinates &tile, const FragmentThread &thread,
                   TileExtent extent = {});
  /// The parity of the staging area's next input barrier, after this tile.
  Value advanceParity(const TileCoordinates &tile, Value parity);
  /// `staging` is null where outputs are stored as pairs; `extent` of the tile is done.
  void run(const TileCoordinates &tile, const FragmentThread &thread, CellValue product,
           StagingArea *staging, Value parity, TileExtent extent = {});

private:
  bool isWhole(const GemmRange &range) const {
    return range.columns.offset == 0 && range.columns.width == plan.n;
  }
  Value isInside(const GemmRange &range, const TileCoordinates &tile);
  void inRange(const GemmRange &range, const TileCoordinates &tile,
               llvm::function_ref<void()> body);
  StagingArea::Place getPlace(const ColumnRange &columns, const TileCoordinates &tile);
  StagingArea::Inputs getInputs(const GemmRange &range, const TileCoordinates &tile);
  void runRange(const GemmRange &range, const TileCoordinates &tile, const FragmentThread &thread,
                CellValue product, StagingArea *staging, Value parity, TileExtent extent);
  /// Where a group's rows of an output begin.
  Value getGroup(Value pointer, Type element, int64_t width, Value group);

  CodeBuilder &code;
  const GemmPlan &plan;
  FragmentRegion region;
  bool mayStage;
  llvm::SmallVector<Value> places; ///< Tensor maps or pointers, one per output.
  llvm::DenseMap<unsigned, Value> inputMaps;
};

} // namespace smelt::gpu
#endif
