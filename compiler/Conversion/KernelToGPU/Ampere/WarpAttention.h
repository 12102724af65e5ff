//===- WarpAttention.h - What attention with mma.sync shares ------*- C++ -*-===//
//
// Blocks of four warps with sixteen rows each of one head. Tiles lie in shared memory as rows of a
// head (swizzled pieces of 16 bytes), brought by cp.async, so a key offset is the number of the row
// that a piece is read from.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPATTENTION_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPATTENTION_H

#include "compiler/Conversion/KernelToGPU/Ampere/WarpStore.h"
#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionRows.h"
#include "compiler/Conversion/KernelToGPU/Hopper/LoopState.h"

namespace smelt::gpu {

/// Rows of a block: sixteen a warp.
inline constexpr int64_t warpAttentionRows = 64;

class WarpAttention {
public:
  WarpAttention(GPUEmission &emission, const AttentionPlan &plan, llvm::StringRef role,
                mlir::Location loc);

protected:
  using Values = llvm::SmallVector<Value>;

  static constexpr int64_t threads = 128;
  int64_t tiles() const { return llvm::divideCeil(plan.tokens, warpAttentionRows); }
  int64_t rowsBytes(int64_t rows) const { return rows * tile.rowBytes; }
  /// The block's tile and head: heads are fastest, and the tiles' order descends if `descending`.
  void beginBlock(bool descending);

  Value clampRow(Value row) { return smelt::gpu::clampRow(code, plan, warpAttentionRows, row); }
  Value loadIndex(Value pointer, Value row) {
    return code.load(code.i32Type(), code.at(pointer, code.mul(row, 4)), 4);
  }
  /// Starts copying `rows` rows of the head in [T, H, d] from row `first` on; rows beyond the end
  /// repeat the last. With `isKey`, shifted features come from the row before.
  void loadRows(Value shared, Value pointer, Value first, int64_t rows, bool isKey = false);

  /// This warp's 16 rows of a tile as operand A: four words for each 16 features.
  Values loadOwnRows(Value tileBase);
  /// sums[16 × n] += A·Bᵀ over the head's features; `a`: of loadOwnRows, or null to load from
  /// `aBase`.
  void multiplyHeads(llvm::ArrayRef<Value> a, Value aBase, Value b, int64_t n, Values &sums);
  /// sums[16 × d] += W·B; `words`: W[16 × rows] as fragments, B: `rows` rows of a head.
  void multiplyRows(llvm::ArrayRef<Value> words, Value b, int64_t rows, Values &sums);

  /// Stores this warp's rows (accumulators [16 × d]) to bf16 [T, H, d], through its rows of the
  /// tile at `tileBase`.
  void storeOwnRows(Value tileBase, Value pointer, llvm::ArrayRef<Value> values);
  Values zeros(int64_t n) { return Values(n / 2, code.f32(0)); }

  const AttentionPlan &plan;
  GPUFunction function;
  CodeBuilder code;
  SharedTile tile;
  Value shared, thread, blockTile, head, firstRow;
  FragmentThread fragment;

private:
  std::optional<MatrixLane> rowsOfA, columnsOfB, rowsOfB;
};

} // namespace smelt::gpu
#endif
