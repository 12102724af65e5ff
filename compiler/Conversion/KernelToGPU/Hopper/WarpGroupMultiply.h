//===- WarpGroupMultiply.h - wgmma on tiles in shared memory ------*- C++ -*-===//
//
// D[64, n] += A[64, k]·B[n, k]ᵀ by the 128 threads of a warp group; k is 32 bytes of a row (16
// bf16, 32 fp8). Tiles lie in shared memory as TMA writes them with 128-byte swizzle:
// - K-major: rows of 128 bytes, k inside the row;
// - MN-major (bf16 only): panels of 64 k-rows of 128 bytes, 64 rows or columns of the product
// inside the row.
//
// Accumulator register 4·n8 + 2·h + p of a thread is row 16·warp + lane/4 + 8·h, column 8·n8 +
// 2·(lane mod 4) + p.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_WARPGROUPMULTIPLY_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_WARPGROUPMULTIPLY_H

#include "compiler/Conversion/KernelToGPU/Hopper/CodeBuilder.h"

namespace smelt::gpu {

enum class OperandType { BF16, E4M3, E5M2 };
inline int64_t getBytes(OperandType type) { return type == OperandType::BF16 ? 2 : 1; }

/// How an operand tile lies in shared memory.
enum class Major { K, MN };

/// Bytes of one row of a swizzled tile, and of a panel of 64 such rows.
inline constexpr int64_t swizzleRow = 128, panelBytes = 64 * swizzleRow;

/// The 64-bit description of a tile at a shared address (in bytes, an i32). `panel`: bytes from one
/// panel of 64 rows or columns of the product to the next (MN-major); `swizzle` is 128, or 64 or 32
/// for rows of so many bytes.
Value describeTile(CodeBuilder &code, Value address, Major major, int64_t panel = panelBytes,
                   int64_t swizzle = swizzleRow);
/// How far a description moves for the next k step of 32 bytes.
inline int64_t getStep(Major major) { return major == Major::K ? 32 >> 4 : (16 * swizzleRow) >> 4; }

/// The registers of one D[64, n]: a struct of n/2 f32.
Type getAccumulatorType(CodeBuilder &code, int64_t n);

struct Multiply {
  int64_t n = 128;
  OperandType a = OperandType::BF16, b = OperandType::BF16;
  Major aMajor = Major::K, bMajor = Major::K;
  /// In multiplyBlocks B's description is moved before A's: the order of instructions, no more.
  bool movesBFirst = false;
};

/// One wgmma; `first` starts from zero instead of `accumulator`.
Value multiply(CodeBuilder &code, const Multiply &shape, Value a, Value b, Value accumulator,
               bool first);
/// The multiplications of 128 bytes of k: 4 steps for each accumulator, a block of 64 rows; fenced
/// before and committed.
llvm::SmallVector<Value> multiplyBlocks(CodeBuilder &code, const Multiply &shape, Value a, Value b,
                                        ValueRange accumulators, bool first);
/// One wgmma with A in registers: four words a thread.
Value multiplyRegisters(CodeBuilder &code, const Multiply &shape, llvm::ArrayRef<Value> a, Value b,
                        Value accumulator, bool first);
void fenceMultiply(CodeBuilder &code);
void commitMultiply(CodeBuilder &code);
void waitMultiply(CodeBuilder &code, unsigned pending);
/// The same, with the accumulators passing through it, so that nothing reads them earlier; `keep`
/// (words) stay in their registers until here: what a multiplication in flight reads must not be
/// overwritten.
Value waitMultiply(CodeBuilder &code, unsigned pending, Value accumulator,
                   llvm::ArrayRef<Value> keep = {});
llvm::SmallVector<Value> unpackAccumulator(CodeBuilder &code, Value accumulator);
Value packAccumulator(CodeBuilder &code, llvm::ArrayRef<Value> registers);

} // namespace smelt::gpu
#endif
