//===- WarpMultiply.h - mma.sync, ldmatrix and cp.async -----------*- C++ -*-===//
//
// What tensor cores have offered since sm_80: a warp multiplies fragments in registers, which
// ldmatrix loads from shared memory, where cp.async has put them.
//
// m16n8k16: register 2·h + p of an accumulator is row lane/4 + 8·h, column 2·(lane mod 4) + p:
// wgmma's order, so what is written for its fragments (FragmentRegion) serves here.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPMULTIPLY_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPMULTIPLY_H

#include "compiler/Conversion/KernelToGPU/Hopper/CodeBuilder.h"

namespace smelt::gpu {

/// D[16, 8] += A[16, 16]·B[16, 8] of bf16 by one warp: four words a thread of A, two of B, four f32
/// of the sums.
void multiplyWarp(CodeBuilder &code, llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b,
                  llvm::MutableArrayRef<Value> sums);

/// Four 8 × 8 matrices of bf16; lane 8·i + j gives the shared address of row j of matrix i.
llvm::SmallVector<Value> loadMatrices(CodeBuilder &code, Value address, bool transposed);

/// 16 bytes from global to shared memory, both 16-byte aligned; of `bytes` (null: all) the rest is
/// zero.
void copyAsync(CodeBuilder &code, Value shared, Value global, Value bytes = {});
/// The copies since the last commit are a group.
void commitCopies(CodeBuilder &code);
/// Waits until at most `pending` of this thread's groups are under way.
void waitCopies(CodeBuilder &code, unsigned pending);
/// Threads of a warp see what the others wrote to shared memory.
void syncWarp(CodeBuilder &code);

/// A bf16 matrix in shared memory, rows of `rowBytes` (64, 128 or 256) from a multiple of 1024 on.
/// Its 16-byte pieces are swizzled so that eight rows' pieces of one column lie in eight different
/// bank groups.
struct SharedTile {
  int64_t rowBytes = 128;

  /// What the piece's number within its row is combined with (xor) in row `row`.
  Value getSwizzle(CodeBuilder &code, Value row) const;
  /// Byte offset of 16-byte piece `piece` of row `row`.
  Value getPlace(CodeBuilder &code, Value row, Value piece) const;
};

/// The addresses a lane gives to ldmatrix for 16 × 16 blocks of a SharedTile.
class MatrixLane {
public:
  /// How a block becomes fragments: as operand A, or as two operands B side by side.
  enum class Use { A, B };
  /// `transposed`: rows of the tile are steps of k. `lane`: 0 … 31.
  MatrixLane(CodeBuilder &code, SharedTile tile, Use use, bool transposed, Value lane);

  /// The four matrices of the block at `outer` (rows or columns of the product) and `k`, both
  /// multiples of 16. For B: words 0 and 1 are columns 0 … 7, words 2 and 3 are 8 … 15.
  llvm::SmallVector<Value> load(Value tileBase, int64_t outer, int64_t k);
  /// The same, `row` (a multiple of 16) further down the product's rows or columns.
  void moveRows(Value row);

private:
  void placePieces();

  CodeBuilder &code;
  SharedTile tile;
  bool transposed;
  Value start;      ///< Of the lane's row in the block.
  Value piece;      ///< The lane's piece there, swizzled.
  Value offsets[4]; ///< Bytes from the tile's beginning, for pieces 0, 2, 4 and 6 of a row.
};

} // namespace smelt::gpu
#endif
