//===- TileQueue.h - Tiles for whichever block is free ------------*- C++ -*-===//
//
// Blocks of a persistent product take their tiles from one counter in global memory, so any grid
// is right, and a block that gets its multiprocessor late, because a collective's blocks are on it,
// finds the tiles done by the others: with fixed turns the launch would last twice as long. Who
// computes a tile does not change its bits.
//
// Blocks are started in order, so the late ones are the last: the first blocks begin with the tile
// of their own number, without asking. The producer thread asks for the next tile when it has
// issued all loads of one, and tells the consumer groups through two words of shared memory with a
// full and an empty barrier each.
//
// The counter is 0 when the module is loaded; whoever takes the last number leaves 0 for the next
// launch. (Launches of one function must not overlap.)
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_TILEQUEUE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_TILEQUEUE_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AsyncCopy.h"

namespace smelt::gpu {

class TileQueue {
public:
  /// Each tile is done by one of the consumer groups in turn, or by all of them together.
  enum class Consumers { InTurn, Together };
  static constexpr int64_t groups = 2; ///< Consumer groups of 128 threads.

  /// Takes its shared memory from `layout` and marks the function as persistent.
  TileQueue(CodeBuilder &code, GPUFunction &function, SharedLayout &layout, int64_t tiles,
            Consumers consumers, int64_t multiprocessors);

  int64_t getGrid() const { return std::min(tiles, multiprocessors); }

  /// One thread, before the block's first barrier.
  void initialise() { ring->initialise(); }

  using Body = llvm::function_ref<llvm::SmallVector<Value>(Value tile, ValueRange carried)>;
  /// The producer thread: `body` for each tile of this block.
  void produce(ValueRange carried, Body body);
  /// All threads of consumer group `group`: `body` for each of its tiles. Returns what is carried
  /// after the last.
  llvm::SmallVector<Value> consume(Value group, ValueRange carried, Body body);
  /// Consumers that work together, in the body: the tile once more, so that it need not stay in a
  /// register meanwhile.
  Value readAgain();

private:
  /// Blocks that may be late: multiprocessors that a collective may hold.
  static constexpr int64_t mayBeLate = 32;

  Value takeNumber();
  /// Tells the group whose turn it is, or both.
  RingPosition publish(Value tile, RingPosition slot);

  CodeBuilder &code;
  int64_t tiles, multiprocessors;
  Consumers consumers;
  Value place;                  ///< The word that a consumer reads.
  Value counter, words, prompt; ///< `prompt`: blocks that begin with the tile of their number.
  std::optional<Ring> ring;
};

} // namespace smelt::gpu
#endif
