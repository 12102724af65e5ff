//===- HeadTile.h - What a tile of the head's product leaves ------*- C++ -*-===//
//
// Logits, as 16 bits if a gradient will want them, and per row of the tile Σ exp(l − shift);
// without a bound on the logits the shift is the row's maximum in the tile, which is stored beside.
// The same for wgmma's and mma.sync's registers.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_HEADTILE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_HEADTILE_H

#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

namespace smelt::gpu {

class HeadTile {
public:
  /// `scale` is a number or null.
  HeadTile(CodeBuilder &code, const HeadPlan &plan, GPUFunction &function, Value scale);

  struct Place {
    Value row, column, columnTile;
  };
  /// Tiles go 16 rows of them at a time, so that W passes through the cache once for every 2048
  /// tokens.
  static Place locate(CodeBuilder &code, const HeadPlan &plan, Value tile);

  /// `registers`: a thread's elements of the product, by Cell::index. `storeLogits` is called if
  /// there is a gradient, and asks for every logit once.
  void finish(const Place &place, const FragmentThread &fragment, llvm::ArrayRef<Value> registers,
              llvm::function_ref<void(CellValue)> storeLogits);
  /// Two logits as they are stored.
  Value pack(Value low, Value high);

private:
  CodeBuilder &code;
  const HeadPlan &plan;
  HeadCurve curve;
  Value sums, maxima;
};

} // namespace smelt::gpu
#endif
