//===- Evaluate.h - The interpreter's op families ---------------*- C++ -*-===//
//
// Private to compiler/Reference. Each function evaluates the ops of one family; nullopt: the op
// belongs to another one.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_REFERENCE_EVALUATE_H
#define SMELT_COMPILER_REFERENCE_EVALUATE_H

#include "compiler/Reference/Interpreter.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include <optional>
#include <unordered_map>

namespace smelt::reference {

/// The values of one region while it runs.
class Frame {
public:
  explicit Frame(Interpreter &interpreter) : interpreter(interpreter) {}

  Interpreter &interpreter;

  const Tensor &operator[](mlir::Value value) const {
    return values.at(value.getAsOpaquePointer());
  }
  /// Adds `value`, poisoned; the reference stays good.
  Tensor &define(mlir::Value value) {
    return define(value, Tensor::poisoned(mlir::cast<mlir::RankedTensorType>(value.getType())));
  }
  Tensor &define(mlir::Value value, Tensor tensor) {
    return values[value.getAsOpaquePointer()] = std::move(tensor);
  }
  Tensor &edit(mlir::Value value) { return values.at(value.getAsOpaquePointer()); }

private:
  std::unordered_map<void *, Tensor> values;
};

using Evaluation = std::optional<llvm::LogicalResult>;

Evaluation evaluateElementwise(mlir::Operation *op, Frame &frame);
Evaluation evaluateRows(mlir::Operation *op, Frame &frame);
Evaluation evaluateTokenShift(mlir::Operation *op, Frame &frame);
Evaluation evaluateContraction(mlir::Operation *op, Frame &frame);
Evaluation evaluateAttention(mlir::Operation *op, Frame &frame);
Evaluation evaluateLoss(mlir::Operation *op, Frame &frame);
Evaluation evaluateFormats(mlir::Operation *op, Frame &frame);
Evaluation evaluateTrain(mlir::Operation *op, Frame &frame);
Evaluation evaluateElementwiseOptimizers(mlir::Operation *op, Frame &frame);
Evaluation evaluateKernel(mlir::Operation *op, Frame &frame);

/// Defines `result` as the rows of `whole` from `firstRow` on, as many as its type has; an error at
/// `op` if they are not there.
llvm::LogicalResult defineRows(mlir::Operation *op, mlir::Value result, const Tensor &whole,
                               int64_t firstRow, Frame &frame);

/// The members of a bank below each other, from parameters and states or from gradients; a state
/// that was never written is zero. Nothing if a member is missing.
std::optional<Tensor> gatherBank(mlir::train::BankOp bank,
                                 const std::map<std::string, Tensor> &tensors);
/// Sets all members of a bank to their rows of `value`.
mlir::LogicalResult scatterBank(mlir::Operation *op, mlir::train::BankOp bank, const Tensor &value,
                                std::map<std::string, Tensor> &tensors);

mlir::LogicalResult evaluateMatrixOptimizer(mlir::train::MuonOp op, Frame &frame);
mlir::LogicalResult evaluateMatrixOptimizer(mlir::train::NorMuonOp op, Frame &frame);

//===- Meanings that lm and kernel ops share --------------------------------===//

/// op(A)·op(B), where op transposes if asked; `groups` such products of matrices below each other.
Tensor multiplyMatrices(const Tensor &a, const Tensor &b, bool transposeA, bool transposeB,
                        int64_t groups = 1);

struct AttentionResult {
  Tensor out; // [T, H, d]
  Tensor lse; // [T, H]
};
AttentionResult computeAttention(const Tensor &q, const Tensor &k, const Tensor &v,
                                 const Tensor &first, double scale);

struct AttentionGradients {
  Tensor dq, dk, dv;
};
AttentionGradients computeAttentionBackward(const Tensor &q, const Tensor &k, const Tensor &v,
                                            const Tensor &first, double scale, const Tensor &out,
                                            const Tensor &lse, const Tensor &dout);

/// [rows, width]: row v is the sum of the rows of `dy` whose token is v.
Tensor scatterAddRows(const Tensor &tokens, const Tensor &dy, int64_t rows);

/// Defines `table`. Its numbers are rounded to f32 before they are rounded to a narrower type.
void defineRopeTable(mlir::Value table, const Tensor &frequencies, Frame &frame);

} // namespace smelt::reference

#endif
