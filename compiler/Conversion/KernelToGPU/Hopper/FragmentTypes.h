//===- FragmentTypes.h - Shapes of a result region's tensors -----*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_FRAGMENTTYPES_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_FRAGMENTTYPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace smelt::gpu {

inline mlir::RankedTensorType typeOf(mlir::Value tensor) {
  return mlir::cast<mlir::RankedTensorType>(tensor.getType());
}
inline bool isScalar(mlir::Value tensor) { return typeOf(tensor).getRank() == 0; }
/// One value per row: [M] or [M, 1].
inline bool isRowVector(mlir::Value tensor) {
  mlir::RankedTensorType type = typeOf(tensor);
  return type.getRank() == 1 || (type.getRank() == 2 && type.getDimSize(1) == 1);
}
/// One value per row and head of `heads`, [M, H, d].
inline bool isPerHead(mlir::Value tensor, mlir::Value heads) {
  mlir::RankedTensorType type = typeOf(tensor), of = typeOf(heads);
  return of.getRank() == 3 && type.getRank() == 2 && type.getDimSize(1) == of.getDimSize(1);
}
/// Elements of one row.
inline int64_t getWidth(mlir::Value tensor) {
  mlir::RankedTensorType type = typeOf(tensor);
  return type.getRank() < 2 ? 1 : type.getNumElements() / type.getDimSize(0);
}

} // namespace smelt::gpu
#endif
