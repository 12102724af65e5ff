//===- ShapeRules.h - Shape rules that verifiers of lm share ----*- C++ -*-===//
#ifndef SMELT_DIALECTS_LM_SHAPERULES_H
#define SMELT_DIALECTS_LM_SHAPERULES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

namespace mlir::lm {

inline RankedTensorType getTensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// `type` has exactly `shape`; `name` is the operand or result in the message.
LogicalResult verifyShape(Operation *op, StringRef name, RankedTensorType type,
                          ArrayRef<int64_t> shape);

/// `factor` has one number per row of x, or per row and head: [T], [T, 1] or, for x [T, H, d], [T,
/// H].
LogicalResult verifyRowFactor(Operation *op, StringRef name, RankedTensorType x,
                              RankedTensorType factor);

} // namespace mlir::lm

#endif
