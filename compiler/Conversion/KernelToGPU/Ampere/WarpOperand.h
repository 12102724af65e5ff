//===- WarpOperand.h - A GEMM operand for mma.sync ----------------*- C++ -*-===//
//
// cp.async reads bf16 in pieces of 16 bytes. An operand that is stored in bf16, with rows that
// begin at multiples of 16 bytes, is read in place along either axis. Any other bf16 or f8 operand
// is written to the workspace as such rows by a launch of its own: f8 are exact in bf16.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPOPERAND_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPOPERAND_H

#include "compiler/Conversion/KernelToGPU/Ampere/WarpMultiply.h"
#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "dialects/Kernel/KernelOps.h"

namespace smelt::gpu {

struct WarpOperand {
  uint32_t argument = 0;
  int64_t byteOffset = 0;
  bool transposed = false;     ///< Rows are steps of k.
  int64_t rows = 0, width = 0; ///< Of one group, as stored.
  int64_t pitch = 0;           ///< Bytes from row to row.

  /// Why tensor cores cannot multiply what region `index` (0: a, 1: b) yields; empty if they can.
  static std::string whyNot(mlir::kernel::GemmOp op, unsigned index);
  /// Adds the launch that writes it, if it takes one.
  static WarpOperand make(mlir::kernel::GemmOp op, unsigned index, GPUEmission &emission);
};

/// Copies tiles of one operand, 128 rows or columns of the product by 32 of k, by the 128 threads
/// of a block; swizzled, rows as they are stored.
class WarpOperandLoader {
public:
  static constexpr int64_t outer = 128, depth = 32, bytes = outer * depth * 2;

  static SharedTile getTile(const WarpOperand &operand) {
    return {operand.transposed ? 2 * outer : 2 * depth};
  }

  WarpOperandLoader(CodeBuilder &code, GPUFunction &function, const WarpOperand &operand);
  /// Begins at row or column `place` of the product in group `group` (null: there is one).
  void begin(Value thread, Value place, Value group);
  /// Elements k … k + 31 to `shared`; zeros from the operand's end on.
  void load(Value shared, Value k);

private:
  CodeBuilder &code;
  const WarpOperand &operand;
  Value pointer;
  Value line, piece;                ///< Of the thread's first copy in the tile, as stored.
  Value destination;                ///< Byte offset of it in the tile.
  llvm::SmallVector<Value> sources; ///< Addresses of the copies at k = 0.
};

} // namespace smelt::gpu
#endif
