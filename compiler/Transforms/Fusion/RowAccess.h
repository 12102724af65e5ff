//===- RowAccess.h - Which rows a region reads ------------------*- C++ -*-===//
//
// What decides whether rows can be computed where they are wanted: which rows of each argument a
// region of row ops reads, how many rows it has, and which of its values are sums over all rows.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_TRANSFORMS_FUSION_ROWACCESS_H
#define SMELT_COMPILER_TRANSFORMS_FUSION_ROWACCESS_H

#include "dialects/Kernel/KernelOps.h"
#include <optional>

namespace smelt {

/// Rows of a value that are read to compute row t. Ordered: later ones ask for more.
enum class RowAccess {
  None,         ///< Not read at all.
  Scalar,       ///< A rank-0 value.
  SameRow,      ///< Row t.
  NeighbourRow, ///< Rows at a fixed distance from t as well.
  WholeTensor,  ///< Any row: a table, weights.
};

/// How the op reads this operand.
RowAccess getRowAccess(mlir::OpOperand &use);

/// How the region reads its argument, through all ops that follow.
RowAccess getRowAccess(mlir::BlockArgument argument);

/// The result is accumulated over rows (a sum, a dot, the gradient of gate weights).
bool isRowTotal(mlir::Value value);

/// The value is accumulated over rows or computed from such values: it exists only after the last
/// row.
bool isLate(mlir::Value value);

/// A value that only scalar mathematics reads may come late: it is computed after the last row.
bool isReadByScalarsOnly(mlir::Value value);

/// Rows of a region's tensors; nullopt for scalar mathematics, -1 if they differ.
std::optional<int64_t> getRows(mlir::Region &region);

/// True if the region works on scalars alone.
inline bool isScalarMath(mlir::Region &region) { return !getRows(region).has_value(); }

} // namespace smelt

#endif
