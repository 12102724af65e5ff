//===- RowOps.h - Shapes and places of row ops ------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_ROWOPS_H
#define SMELT_COMPILER_CONVERSION_ROWOPS_H

#include "dialects/LM/LMOps.h"

namespace smelt {

/// The type of a row op's operand or result; null if it is no tensor.
mlir::RankedTensorType tensorOf(mlir::Value value);
bool isRankZero(mlir::Value value);
bool isIndices(mlir::Value value);
/// Elements of a row: of all axes but the first.
int64_t featuresOf(mlir::RankedTensorType type);
/// Size of the last axis, which is a segment of the row; 1 below rank 2.
int64_t segmentOf(mlir::Value value);

/// Works element by element whatever the shape; what is no tensor of the results' shape is a single
/// number.
bool isFlattenable(mlir::Operation *op);

/// Whatever is computed from the region's argument, each element comes from the argument's element
/// at the same place.
bool isReadElementwise(mlir::BlockArgument argument);

} // namespace smelt
#endif
