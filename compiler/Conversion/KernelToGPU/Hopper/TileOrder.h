//===- TileOrder.h - Which tile a block takes next ----------------*- C++ -*-===//
//
// Persistent blocks take (tile, head) items from one counter, so that a block that had short tiles
// takes more. Heads are fastest: neighbours share what they load. Inside windows of 8 tiles, and in
// the last quarter, tiles go longest first: the end of a launch is waiting for the longest item
// that began late. Sorting everything would lose L2: neighbouring tiles read the same rows.
// Results do not depend on who computes an item, so runs stay bit-equal.
//
// The counter is in global memory, 0 when the module is loaded; whoever takes the last number
// leaves 0 for the next launch. (Launches of one kernel must not overlap.)
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_TILEORDER_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_TILEORDER_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AsyncCopy.h"

namespace smelt::gpu {

class TileOrder {
public:
  /// `descending`: the last tile first, before tiles are sorted.
  TileOrder(int64_t tiles, int64_t heads, bool descending)
      : tiles(tiles), heads(heads), descending(descending) {}

  int64_t countItems() const { return tiles * heads; }
  /// Shared memory that it needs.
  void allocate(SharedLayout &layout);
  /// All threads of the block: sorts, by the cost (i32) that `getCost` gives for a tile. The grid
  /// must not have more blocks than items; the function is marked as persistent.
  void prepare(CodeBuilder &code, GPUFunction &function, Value shared,
               llvm::function_ref<Value(Value tile)> getCost);

  /// The next item, not below countItems() when all are given; one thread of a block asks, first
  /// for the block's own index.
  Value takeNext(CodeBuilder &code);
  Value isItem(CodeBuilder &code, Value item) { return code.less(item, countItems()); }
  Value getTile(CodeBuilder &code, Value item);
  Value getHead(CodeBuilder &code, Value item) { return code.rem(item, heads); }

private:
  static constexpr int64_t window = 8, longestTail = 128, mostTiles = 2048;
  bool isSorted() const { return tiles > 1 && tiles <= mostTiles; }
  Value getUnsorted(CodeBuilder &code, Value position);

  int64_t tiles, heads;
  bool descending;
  int64_t costs = 0, order = 0;
  Value orderPlace, counter;
};

} // namespace smelt::gpu
#endif
