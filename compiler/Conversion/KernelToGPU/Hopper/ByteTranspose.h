//===- ByteTranspose.h - f8 numbers, packed and transposed -------*- C++ -*-===//
//
// wgmma takes f8 operands K-major only, so what is multiplied along its rows and along its columns
// lies in memory twice. A block of 256 threads turns a tile of 128 × 128 bytes: each thread holds
// pieces of 4 rows × 4 columns (a word a row), transposes them in registers and puts them into
// shared memory, from where whole rows of the transpose are stored.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_BYTETRANSPOSE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_BYTETRANSPOSE_H

#include "compiler/Conversion/KernelToGPU/Hopper/WarpGroupMultiply.h"
#include <array>

namespace smelt::gpu {

/// Four f32 as f8 in an i32, the first in the low byte; nearest even, saturating.
Value packF8(CodeBuilder &code, OperandType type, llvm::ArrayRef<Value> four);
/// The four f8 of an i32 as f32.
std::array<Value, 4> unpackF8(CodeBuilder &code, OperandType type, Value word);

/// Bytes of a and b (0–3 and 4–7), chosen by the selector's hexadecimal digits.
Value permuteBytes(CodeBuilder &code, Value a, Value b, int64_t selector);

class ByteTransposer {
public:
  static constexpr int64_t tile = 128, threads = 256, sharedBytes = 4 * 32 * 33 * 4;
  /// Pieces of a tile that a thread holds.
  static constexpr int64_t pieces = tile * tile / 16 / threads;

  /// `shared`: sharedBytes, 16-byte aligned.
  ByteTransposer(CodeBuilder &code, Value thread, Value shared);

  /// The thread's piece `index` begins at this column and row of the tile.
  Value getColumn() const { return column; }
  Value getRow(int64_t index) const { return code.add(row, index * (tile / pieces)); }
  /// Puts piece `index`, a word of 4 columns for each of 4 rows, where store() finds it.
  void put(int64_t index, const std::array<Value, 4> &words);
  /// After a barrier: stores the transpose, `pitch` bytes a row, at `pointer`. `firstRow` and
  /// `firstColumn` of the tile in a matrix of rows × columns; the transpose has `columns` rows.
  void store(Value pointer, int64_t pitch, Value firstRow, Value firstColumn, int64_t rows,
             int64_t columns);

private:
  Value place(Value columnBlock, int64_t inBlock, Value rowBlock);

  CodeBuilder &code;
  Value thread, shared, lane, warp, column, row;
};

} // namespace smelt::gpu
#endif
