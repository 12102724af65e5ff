//===- PingPongProduct.h - Two groups in turns, a tile each ------*- C++ -*-===//
//
// Each consumer group multiplies a whole tile of 128 × 128 by itself, and named barriers order
// their turns: while one group multiplies, the other runs the result region of its tile and stores
// it. Tiles come from a TileQueue; every tile takes the same number of stages.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_PINGPONGPRODUCT_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_PINGPONGPRODUCT_H

#include "compiler/Conversion/KernelToGPU/Hopper/ProductKernel.h"

namespace smelt::gpu {

class PingPongProduct : protected ProductKernel {
protected:
  /// `steps`: the stages that a tile takes.
  PingPongProduct(GPUEmission &emission, llvm::StringRef role, mlir::Location loc,
                  const Multiply &multiplication, int64_t stageCount, int64_t steps);

  /// Waits for the group's turn, multiplies the tile and gives the turn on. Returns the product's
  /// registers, by Cell::index.
  using MultiplyTile = llvm::function_ref<llvm::SmallVector<Value>()>;
  /// A consumer group's tiles: `body` calls `multiply` once; then `carryOn` gives what goes on to
  /// the next tile from what came to this one.
  void
  consumeTiles(ValueRange carried,
               llvm::function_ref<void(Value tile, ValueRange carried, MultiplyTile multiply)> body,
               llvm::function_ref<llvm::SmallVector<Value>(ValueRange carried)> carryOn);

private:
  llvm::SmallVector<Value> multiplyStage(RingPosition at, ValueRange blocks, bool first);

  Multiply multiplication;
  int64_t steps;
};

} // namespace smelt::gpu
#endif
