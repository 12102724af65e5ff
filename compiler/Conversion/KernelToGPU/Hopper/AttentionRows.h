//===- AttentionRows.h - Attention's rows, for either tensor core -*- C++ -*-===//
//
// What the kernels with wgmma and those with mma.sync do alike: with the row that stands in for one
// beyond the last token, with the scale of the scores, and with a row when its softmax is complete.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ATTENTIONROWS_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ATTENTIONROWS_H

#include "compiler/Conversion/KernelToGPU/Hopper/AttentionPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/OnlineSoftmax.h"

namespace smelt::gpu {

/// `row`, or the last one; tiles have `tileRows` rows.
Value clampRow(CodeBuilder &code, const AttentionPlan &plan, int64_t tileRows, Value row);

/// The number that scores are multiplied by.
struct ScoreScale {
  Value scale, scaleLog2e;

  static ScoreScale load(CodeBuilder &code, Value pointer);
  /// exp(scale·score − lse), of an lse to the base 2.
  Value exponential(CodeBuilder &code, Value score, Value lse2) const;
};

/// Where a row's results go, and what its output is multiplied by.
struct RowResults {
  Value lse;        ///< [T, H], f32.
  Value gate;       ///< [T, H], f32 or bf16; null: none.
  Type gateElement; ///< Null without a gate.

  static RowResults make(GPUFunction &function, mlir::kernel::AttentionOp op);
  /// Stores the lse of a thread's two rows, whose first column is `pair`; returns the factors of
  /// their outputs: 1/sum, times the gate.
  RowPair finish(CodeBuilder &code, const AttentionPlan &plan, int64_t tileRows,
                 OnlineSoftmax &softmax, const SoftmaxState &state, RowPair rows, Value head,
                 Value pair) const;
};

} // namespace smelt::gpu
#endif
