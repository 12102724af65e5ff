//===- HeadPlan.h - The language-model head as launches ----------*- C++ -*-===//
//
// What a kernel.gemm does whose result region ends in a cross-entropy:
//
//   l = softcap(s · a·bᵀ)                    one launch: sums of exp per row and tile, l as 16 bits
//   lse, loss per row                        one small launch
//   g = (softmax(l) − onehot) · dloss · softcap'(z), in f8 or bf16      one launch
//   the sum of losses                        one small launch
//
// s, the softcap and g are optional. The logits are never there in f32, and not at all without g.
// Where they would take more than `largestLogits` bytes, the rows are done in chunks: the same
// functions are launched for each, and the logits of one chunk lie where those of the last lay.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_HEADPLAN_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_HEADPLAN_H

#include "compiler/Conversion/KernelToGPU/Hopper/OperandCopy.h"
#include "llvm/ADT/DenseMap.h"

namespace smelt::gpu {

struct HeadPlan {
  mlir::kernel::GemmOp op;
  mlir::lm::CrossEntropyOp loss;
  std::optional<mlir::lm::SoftcapKind> softcap;
  double amplitude = 0, temperature = 1; ///< Of the softcap.
  Value scale; ///< A scalar of the region that multiplies the product; null: 1.
  /// Scalars that the op returns: tensor of the region, the op's result.
  llvm::SmallVector<std::pair<Value, Value>> scalars;

  Value gradient;           ///< The op's result; null: none.
  Value lossGradient;       ///< A scalar of the region: the gradient of each row's loss.
  Type gradientElement;     ///< f8 or bf16.
  double gradientScale = 1; ///< f8 holds gradient / gradientScale.

  KMajorOperand a, b; ///< Set by the emitter.
  // Byte offsets in the workspace, set by the emitter.
  int64_t logits = 0, sums = 0, maxima = 0, lse = 0, blockSums = 0, blockCounts = 0;

  static constexpr int64_t tile = 128, lossRows = 32, largestLogits = 1'250'000'000;
  int64_t rows, columns, depth; ///< Of a chunk, V, D.
  int64_t chunks = 1;
  int64_t tilesM() const { return (rows + tile - 1) / tile; }
  int64_t tilesN() const { return (columns + tile - 1) / tile; }
  int64_t paddedRows() const { return tilesM() * tile; }
  int64_t lossBlocks() const { return (rows + lossRows - 1) / lossRows; }
  /// The logits lie in a range so small that exp(l − shift) neither overflows nor vanishes.
  bool isBounded() const;
  /// A bound on the logits, if isBounded.
  double getShift() const;
  /// How logits are stored for the gradient: f16 if bounded, else bf16.
  bool storesF16() const { return isBounded(); }

  /// Empty, with `plan` filled in, if the region is of this form.
  static std::string match(mlir::kernel::GemmOp op, const GPUEmission &emission, HeadPlan &plan);
  /// The same for the result region alone, whatever multiplies.
  static std::string matchResult(mlir::kernel::GemmOp op, const GPUEmission &emission,
                                 HeadPlan &plan);
};

/// Computes rank-0 values of the head's region.
class HeadScalars {
public:
  HeadScalars(CodeBuilder &code, GPUFunction &function, mlir::kernel::GemmOp op)
      : code(code), function(function), op(op) {}
  void bind(Value tensor, Value number) { known[tensor] = number; }
  Value get(Value tensor);

private:
  Value compute(Value tensor);
  CodeBuilder &code;
  GPUFunction &function;
  mlir::kernel::GemmOp op;
  llvm::DenseMap<Value, Value> known;
};

/// Logits from sums of products, and their derivative.
class HeadCurve {
public:
  /// `scale` is a number or null.
  HeadCurve(CodeBuilder &code, const HeadPlan &plan, Value scale);
  /// softcap(scale · x).
  Value cap(Value x);
  /// softcap'(z) as a function of the logit, without the factor getSlope().
  Value slope(Value logit);
  double getSlopeFactor() const;

private:
  CodeBuilder &code;
  const HeadPlan &plan;
  Value factor; ///< Of x in cap, or null.
};

/// The result region has a cross-entropy.
bool isHead(mlir::kernel::GemmOp op);
/// Why fusion should not make this head: the region has an op that no head has. Half a head passes,
/// since the rest is merged later.
std::string whyNotHeadRegion(mlir::kernel::GemmOp op);
/// Why the generators here do not take this kernel; empty if they do.
std::string whyNotFastHead(mlir::kernel::GemmOp op, const GPUEmission &emission);
mlir::LogicalResult emitFastHead(mlir::kernel::GemmOp op, GPUEmission &emission);

/// The launches of a plan whose operands are known; `emitProduct` adds the first one's.
void emitHeadLaunches(HeadPlan &plan, GPUEmission &emission,
                      llvm::function_ref<void()> emitProduct);
// They are:
void emitHeadProduct(const HeadPlan &plan, GPUEmission &emission);
void emitHeadLoss(const HeadPlan &plan, GPUEmission &emission);
void emitHeadSum(const HeadPlan &plan, GPUEmission &emission);
void emitHeadGradient(const HeadPlan &plan, GPUEmission &emission);

} // namespace smelt::gpu
#endif
