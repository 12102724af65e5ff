//===- AttentionKernel.h - What attention's kernels share --------*- C++ -*-===//
//
// Tiles lie in shared memory as halves of 64 columns with 128-byte swizzle; keys as groups of
// AttentionPlan::keyGroup columns, so that shifted features can come from the row before.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ATTENTIONKERNEL_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ATTENTIONKERNEL_H

#include "compiler/Conversion/KernelToGPU/Hopper/AttentionRows.h"
#include "compiler/Conversion/KernelToGPU/Hopper/LoopState.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileOrder.h"
#include "compiler/Conversion/KernelToGPU/Hopper/WarpGroupMultiply.h"
#include "compiler/Conversion/KernelToGPU/Hopper/WarpSpecialisedKernel.h"

namespace smelt::gpu {

class AttentionKernel : protected WarpSpecialisedKernel {
public:
  AttentionKernel(GPUEmission &emission, const AttentionPlan &plan, llvm::StringRef role,
                  mlir::Location loc);

protected:
  /// Boxes of `columns` × one head × `rows` of a stored [T, H, d].
  Value addMap(uint32_t argument, int64_t columns, int64_t rows);
  /// One thread of warp 0 of group 0, with few registers; groups 1 and 2 with many.
  void specialise(llvm::function_ref<void()> produce, llvm::function_ref<void()> consume);

  /// A tile of `attentionRows` rows of one head, as values of the running kernel.
  struct Item {
    Value tile, head, row;
  };
  Item locate(TileOrder &order, Value item) {
    Value tile = order.getTile(code, item);
    return {tile, order.getHead(code, item), code.mul(tile, attentionRows)};
  }
  /// The producer's loop over items: `body(item, carried)` loads one, asking `order` for the next
  /// (first of what it returns), and passes on what it carries. Then the consumers are told.
  void produceItems(TileOrder &order, const Ring &ring, ValueRange carried,
                    llvm::function_ref<llvm::SmallVector<Value>(Value, ValueRange)> body);
  /// The producer puts an item's number beside the stage before the stage is full …
  void announce(Value stage, Value item) { code.store(item, itemPlace(stage), 4); }
  /// … and consumers find it there: the loop over items, from the first two of `carried`, which
  /// are the position in the ring. Their stores are done when it ends.
  void consumeItems(TileOrder &order, const Ring &ring, ValueRange carried,
                    llvm::function_ref<llvm::SmallVector<Value>(const Item &, ValueRange)> body);
  /// The item announced there. A warp's lane 0 reads it for all: the same lane arrives when the
  /// stage is released, and so says itself that it has read (another thread's arrival says that by
  /// way of a barrier of the group, which is enough but more than racecheck follows).
  Value readItem(Value stage);
  /// Shared memory for `stages` announced items.
  void allocateItems(int64_t stages) { itemOffset = layout.allocate(4 * stages, 16); }
  Value itemPlace(Value stage) { return code.at(shared, code.add(code.mul(stage, 4), itemOffset)); }

  /// A warp has read a stage, also by ordinary loads, or passes over it. Each warp arrives for
  /// itself: products do not keep the warps of a group together, and one that had not seen a stage
  /// full when the producer fills it again would wait for a turn that never comes.
  void release(const Ring &ring, Value stage);
  /// The same of a stage through which the group's stores of a tile go, when they have read it: the
  /// group's first thread waits for them.
  void releaseStored(const Ring &ring, Value stage);
  static constexpr int64_t releases = 8; ///< Arrivals at an empty barrier of such a ring.

  /// Blocks `from` to `to` of these rings, whose positions stand one after the other, belong to the
  /// other group alone: passes over them. Returns the positions behind.
  llvm::SmallVector<Value> passOver(Value from, Value to, llvm::ArrayRef<const Ring *> rings,
                                    mlir::ValueRange positions);

  //===- Tiles of queries against blocks of keys: forward and dQ -----------===//
  // Blocks of `blockRows` keys go from the diagonal down; rings q, k and v.

  /// Lays out keys, values and barriers behind what is there, begins the body, and gives `order`
  /// the blocks of a tile as its cost. Returns the grid.
  int64_t beginQueryTiles(TileOrder &order, int64_t queryStages, int64_t keyStages,
                          int64_t valueStages, int64_t multiprocessors);
  Value loadFirst(Value row) { return loadIndex(first, clampRow(row)); }
  /// The lowest block of keys that a query sees, and the one after those that a tile sees.
  Value getLowest(Value row) { return code.shiftRight(loadFirst(row), 6); }
  Value getEnd(const Item &item) {
    return code.mul(code.add(item.tile, 1), attentionRows / blockRows);
  }
  /// The producer; `loadQueries` fills a stage of q.
  void produceQueryTiles(TileOrder &order,
                         llvm::function_ref<void(const Item &, Value stage)> loadQueries);
  /// A warp group's blocks of a tile: `diagonal`, those that all its queries see whole, down to
  /// `whole`, and those at the edge, down to `lowest`.
  struct OwnBlocks {
    Value row; ///< The group's first query.
    Value diagonal, whole, lowest;
  };
  OwnBlocks findOwnBlocks(const Item &item);
  /// S of a block: the group's queries times keys.
  Value multiplyKeyBlock(Value queries, Value stage);

  Value clampRow(Value row) { return smelt::gpu::clampRow(code, plan, attentionRows, row); }
  /// `x` between `low` and `high`.
  Value clamp(Value x, Value low, Value high);
  Value loadIndex(Value pointer, Value row) {
    return code.load(code.i32Type(), code.at(pointer, code.mul(row, 4)), 4);
  }
  /// Halves of 64 columns, `rows` rows each, by TMA; the barrier expects their bytes already.
  void loadHalves(Value map, Value place, Value barrier, Value head, Value row, int64_t rows);
  /// What loadKeys copies by; `rows` as there.
  void addKeyMaps(int64_t rows);
  /// A tile of `rows` keys from row `row` on, which is 0 where `isFirst`: then row 0's own features
  /// are copied over the zeros of row −1 when these have come, which the barrier `patch` with
  /// `parity` tells. The barrier `full` gets its one arrival and its bytes. Returns the parity for
  /// the next time.
  Value loadKeys(Value place, Value full, Value patch, Value parity, Value head, Value row,
                 Value isFirst, int64_t rows);
  int64_t keyGroupBytes(int64_t rows) const { return rows * plan.keyGroup * 2; }
  int64_t halfBytes(int64_t rows) const { return rows * swizzleRow; }

  Value describe(Value address, Major major = Major::K, int64_t rows = attentionRows,
                 int64_t swizzle = 128) {
    return describeTile(code, address, major, halfBytes(rows), swizzle);
  }
  Value addressOf(int64_t offset, Value stage, int64_t bytes) {
    return code.add(sharedAddress, code.add(code.mul(stage, bytes), offset));
  }
  Value placeOf(int64_t offset, Value stage, int64_t bytes) {
    return code.at(shared, code.add(code.mul(stage, bytes), offset));
  }
  int64_t tileBytes() const { return attentionRows * plan.width * 2; }
  int64_t blockBytes() const { return blockRows * plan.width * 2; }
  /// D[64, d], zero.
  Value zeroHead();
  /// acc += weights[64, 64]·B with B 64 rows in groups of `columns` columns: one product for all,
  /// since groups are panels of an MN-major operand.
  Value multiplyRows(Value acc, llvm::ArrayRef<Value> weights, Value address, int64_t columns = 64);
  /// Tiles in groups of `columns` columns, `rows` rows each.
  struct HeadTile {
    Value tile;
    int64_t rows, columns = 64;
  };
  /// D[64, n] = A·Bᵀ over the head: A's rows from its description on, n those of B.
  Value multiplyHeads(const HeadTile &a, const HeadTile &b);
  /// Stores 64 rows of a head ([64, d] accumulator registers) by way of `area`, groups of `columns`
  /// columns `rows` high, at row `row`.
  void storeHead(Value area, int64_t rows, Value map, Value head, Value row,
                 llvm::ArrayRef<Value> values, int64_t columns = 64);

  GPUEmission &emission;
  const AttentionPlan &plan;
  Value block;
  Value mapK, mapOwn; ///< Tiles of keys; boxes of one row (null without a shift).
  Value first;      ///< The first key that each query sees; of kernels that ask.
  Value mapV;       ///< Tiles of values.
  int64_t itemOffset = 0, kOffset = 0, vOffset = 0;
  std::optional<Ring> q, k, v;
  std::optional<BarrierArray> firstKeys; ///< One: of blocks that hold key 0.

private:
  void loadKeyGroups(Value map, Value place, Value barrier, Value head, Value row, int64_t rows);
};

} // namespace smelt::gpu
#endif
