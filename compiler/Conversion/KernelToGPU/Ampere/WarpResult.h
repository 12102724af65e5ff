//===- WarpResult.h - From a warp's accumulators to the results ---*- C++ -*-===//
//
// Runs a GEMM's result region on a tile of 128 × 128 that four warps hold, and stores the outputs:
// bf16 through a piece of shared memory of each warp, so that whole rows are written, anything else
// as pairs. A region that FragmentRegion does not take finds the product in the workspace.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPRESULT_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPRESULT_H

#include "compiler/Conversion/KernelToGPU/Ampere/WarpGemmPlan.h"
#include "compiler/Conversion/KernelToGPU/Ampere/WarpStore.h"
#include "compiler/Conversion/KernelToGPU/GPURegion.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

namespace smelt::gpu {

/// Where a tile lies in its group's product; `group` is null where there is one.
struct WarpTilePlace {
  Value row, column, group;
};

/// Shared memory of one warp for storing.
inline constexpr int64_t warpAreaBytes = 16 * 2 * tileColumns;

class WarpResult {
public:
  /// `raw`: where a whole product goes.
  WarpResult(CodeBuilder &code, GPUFunction &function, mlir::kernel::GemmOp op,
             const WarpGemmPlan &plan, const GPURowBuffer &raw);

  /// Before the first tile.
  void begin();
  /// `area`: of this warp; null: all is stored as pairs. The first `blocks` blocks of 8 columns are
  /// done.
  void run(const WarpTilePlace &tile, const FragmentThread &thread, CellValue product, Value area,
           int blocks = 16);

private:
  void runRange(const GemmRange &range, const WarpTilePlace &tile, const FragmentThread &thread,
                CellValue product, Value area, int blocks);
  void storeRows(Value pointer, int64_t width, const WarpTilePlace &tile, Value column,
                 const FragmentThread &thread, Value area, CellValue value);
  /// Where a group's rows begin.
  Value getGroup(Value pointer, Type element, int64_t width, Value group);

  CodeBuilder &code;
  const WarpGemmPlan &plan;
  FragmentRegion region;
  llvm::SmallVector<Value> places; ///< Of the outputs, or of the raw product.
};

} // namespace smelt::gpu
#endif
