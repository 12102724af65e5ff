//===- OnlineSoftmax.h - Softmax over blocks of keys, in registers -*- C++ -*-===//
//
// A thread holds 64 scores of a 64 × 128 block: element 4·j + 2·r + e is row r (of its two, 8
// apart), column 8·j + e from its first. Rows are spread over a quad of threads. Source: Milakov
// and Gimelshein, online softmax (2018); Dao, FlashAttention-2 (2023).
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ONLINESOFTMAX_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ONLINESOFTMAX_H

#include "compiler/Conversion/KernelToGPU/Hopper/CodeBuilder.h"

namespace smelt::gpu {

using RowPair = std::array<Value, 2>;

struct SoftmaxState {
  RowPair maximum; ///< Of the scores so far, unscaled.
  RowPair sum;     ///< Of this thread's columns only.
};

class OnlineSoftmax {
public:
  /// `scale`: of the scores times log2(e).
  OnlineSoftmax(CodeBuilder &code, Value scale)
      : code(code), scale(scale), negative(code.fneg(scale)) {}

  /// Leaves −∞ where a column is not kept: `low` ≤ column ≤ `high` (i32, relative to the thread's
  /// first column; null: no bound).
  llvm::SmallVector<Value> mask(llvm::ArrayRef<Value> scores, RowPair low, RowPair high);

  struct Step {
    llvm::SmallVector<Value> weights; ///< exp(scale·(score − maximum)), f32.
    SoftmaxState state;
    RowPair decay; ///< What earlier sums and outputs are multiplied by; null for the first block.
  };
  /// A block; `before` is null for the first one, in which every row must see a key.
  Step add(llvm::ArrayRef<Value> scores, const SoftmaxState *before);

  /// The rows' sums over the quad.
  RowPair totals(const SoftmaxState &state);
  /// Natural logarithm of the denominators, for these totals.
  RowPair logSumExp(const SoftmaxState &state, RowPair totals);

private:
  Value overQuad(Value x, llvm::function_ref<Value(Value, Value)> combine);

  CodeBuilder &code;
  Value scale, negative;
};

} // namespace smelt::gpu
#endif
