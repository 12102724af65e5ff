//===- WarpMainLoop.h - A tile's product by four warps ------------*- C++ -*-===//
//
// 128 × 128 of a product: cp.async fills a ring of shared memory with 32 of k at a time, three
// steps ahead; each warp multiplies 32 rows (16 of each half of the tile, as wgmma deals them out)
// by all columns. 64 KiB of shared memory and at most 255 registers: two blocks a multiprocessor,
// so that one stores while the other multiplies.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPMAINLOOP_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPMAINLOOP_H

#include "compiler/Conversion/KernelToGPU/Ampere/WarpOperand.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

namespace smelt::gpu {

class WarpMainLoop {
public:
  static constexpr int64_t threads = 128, stages = 4, stageBytes = 2 * WarpOperandLoader::bytes;
  static constexpr int64_t sharedBytes = stages * stageBytes;

  /// The operands live as long as this does.
  WarpMainLoop(CodeBuilder &code, GPUFunction &function, const WarpOperand &a,
               const WarpOperand &b);

  /// The block's tile at `row` and `column` of a group's product (null: there is one).
  void begin(const FragmentThread &fragment, Value row, Value column, Value group);
  /// Sums over steps first … first + count − 1 of WarpOperandLoader::depth of k, by Cell::index.
  llvm::SmallVector<Value> run(Value first, Value count);
  /// Shared memory of this warp, once all warps have come here: the ring serves for storing.
  Value reuse(int64_t bytes);

private:
  Value getStage(Value step) {
    return code.at(shared, code.mul(code.bitAnd(step, stages - 1), stageBytes));
  }
  void multiplyStage(Value stage, llvm::SmallVector<Value> &sums);

  CodeBuilder &code;
  GPUFunction &function;
  const WarpOperand &a, &b;
  WarpOperandLoader loadA, loadB;
  std::optional<MatrixLane> lanesA, lanesB;
  Value shared, warp;
};

} // namespace smelt::gpu
#endif
