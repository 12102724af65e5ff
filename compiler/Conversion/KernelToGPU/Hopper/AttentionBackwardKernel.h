//===- AttentionBackwardKernel.h - What attention's gradients share -*- C++ -*-===//
//
// Three launches: prepare, queries (dQ), keys (dK and dV); see EmitHopperAttentionBackward.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ATTENTIONBACKWARDKERNEL_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ATTENTIONBACKWARDKERNEL_H

#include "compiler/Conversion/KernelToGPU/Hopper/AttentionKernel.h"

namespace smelt::gpu {

/// What the first launch leaves for the others, as offsets in the workspace. The first three are one
/// array of 2·H + 1 rows.
struct PreparedAttention {
  int64_t lse;       ///< [h, t], base 2, f32.
  int64_t delta;     ///< δ[h, t] = Σ dO·O, f32.
  int64_t first;     ///< [t]
  int64_t lastWhole; ///< [j]: the last query that sees key 64·j, so all keys of the block.
  int64_t lastAny;   ///< [j]: the last query that sees key 64·j + 63.

  static PreparedAttention allocate(GPUEmission &emission, const AttentionPlan &plan);
};
/// Entries of a head's row, or of `first`.
inline int64_t getPadded(const AttentionPlan &plan) { return plan.tiles() * attentionRows; }

class AttentionBackwardKernel : protected AttentionKernel {
protected:
  AttentionBackwardKernel(mlir::kernel::AttentionBackwardOp op, GPUEmission &emission,
                          const AttentionPlan &plan, llvm::StringRef role,
                          const PreparedAttention &places);

  void loadScale() { scale = ScoreScale::load(code, scalePointer); }

  Value scalePointer, delta, lse;
  ScoreScale scale;
};

/// Why the tensors beside q, k and v are not as the generators want them; empty if they are.
std::string whyNotGradientTensors(mlir::kernel::AttentionBackwardOp op,
                                  const GPUEmission &emission);
void emitAttentionPrepare(mlir::kernel::AttentionBackwardOp op, GPUEmission &emission,
                          const AttentionPlan &plan, const PreparedAttention &places);
void emitAttentionQueries(mlir::kernel::AttentionBackwardOp op, GPUEmission &emission,
                          const AttentionPlan &plan, const PreparedAttention &places);
void emitAttentionKeys(mlir::kernel::AttentionBackwardOp op, GPUEmission &emission,
                       const AttentionPlan &plan, const PreparedAttention &places);

} // namespace smelt::gpu
#endif
