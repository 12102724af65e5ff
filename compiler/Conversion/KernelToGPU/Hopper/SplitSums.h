//===- SplitSums.h - Products whose k is cut into parts ----------*- C++ -*-===//
//
// Parts of k leave f32 products in the workspace, [splits, groups, m, n]; a second launch adds them
// in order. The same for wgmma's and mma.sync's products.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_SPLITSUMS_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_SPLITSUMS_H

#include "compiler/Conversion/KernelToGPU/Hopper/FragmentTypes.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

namespace smelt::gpu {

/// What a generator's parts cost, in steps of its main loop.
struct SplitCosts {
  int64_t fixedSteps;  ///< Filling the pipeline, storing the tile.
  int64_t sumSteps;    ///< The launch that adds.
  double bytesPerStep; ///< What memory moves in the time of one step.
  int64_t fewestSteps; ///< A part has so many.
};

/// The number of parts that finishes soonest: rounds of `tiles` tiles, `concurrent` at a time, each
/// of `steps` steps, then the time to add the parts of `elements` elements.
int64_t chooseSplits(int64_t tiles, int64_t concurrent, int64_t steps, int64_t elements,
                     const SplitCosts &costs);

/// The product [m, n] of each of `groups` groups, `splits` parts of which lie in the workspace.
struct SplitProduct {
  int64_t m, n, groups, splits;
};

/// Elements of a tile as the sums of their parts, in order, loaded when they are asked for.
class SplitSums {
public:
  /// `first` is the group's first part; `row` and `column` the thread's first element, an even one.
  SplitSums(CodeBuilder &code, const SplitProduct &product, Value first, Value row, Value column)
      : code(code), product(product), first(first), row(row), column(column), sums(Cell::count) {}
  Value get(Cell cell);

private:
  CodeBuilder &code;
  SplitProduct product;
  Value first, row, column;
  llvm::SmallVector<Value> sums; ///< Pairs.
};

} // namespace smelt::gpu
#endif
