//===- AttentionPlan.h - Attention that Hopper's kernels take ----*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ATTENTIONPLAN_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ATTENTIONPLAN_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "dialects/Kernel/KernelOps.h"
#include <string>

namespace smelt::gpu {

/// Queries or keys of a tile.
inline constexpr int64_t attentionRows = 128;
/// Keys of a block that a tile of queries meets, queries of one that a tile of keys meets: a warp
/// group's share of a tile, so that a block is on the diagonal of one group, or of none.
inline constexpr int64_t blockRows = attentionRows / 2;

/// What the forward kernel's result region does: nothing, or a factor per token and head.
struct AttentionResult {
  mlir::Value gate; ///< [T, H], f32 or bf16; null: none.
  static std::string whyNot(mlir::kernel::AttentionOp op, const GPUEmission &emission);
  static AttentionResult make(mlir::kernel::AttentionOp op);
};

/// The regions of q, k and v, of kernel.attention or kernel.attention_backward.
struct AttentionInputs {
  struct Operand {
    mlir::Region &region;
    mlir::OperandRange inputs;
  };
  Operand q, k, v;
  mlir::RankedTensorType heads; ///< [T, H, d]

  template <typename OpT>
  AttentionInputs(OpT op)
      : q{op.getQ(), op.getQInputs()}, k{op.getK(), op.getKInputs()}, v{op.getV(), op.getVInputs()},
        heads(op.getHeadsType()) {}
};

/// Where q, k or v comes from: a stored bf16 [T, H, d], for keys with a token shift.
struct AttentionOperand {
  uint32_t argument = 0;
  /// One flag per column group: these features come from the row before (in replace mode).
  std::vector<bool> shifted;
};

struct AttentionPlan {
  int64_t tokens = 0, heads = 0, width = 0;
  AttentionOperand q, k, v;
  /// Features of a key that one copy moves: 64, or 32 where that divides what is shifted.
  int64_t keyGroup = 64;
  bool hasShift = false;

  int64_t tiles() const { return (tokens + attentionRows - 1) / attentionRows; }

  /// Why the Hopper kernels do not take these operands; empty if they do.
  static std::string whyNot(const AttentionInputs &inputs, const GPUEmission &emission);
  /// The same, whatever the target multiplies with.
  static std::string whyNotOperands(const AttentionInputs &inputs, const GPUEmission &emission);
  static AttentionPlan make(const AttentionInputs &inputs, const GPUEmission &emission);
};

} // namespace smelt::gpu
#endif
