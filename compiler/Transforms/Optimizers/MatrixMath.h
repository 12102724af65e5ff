//===- MatrixMath.h - What the matrix optimisers' expansions share --------===//
//
// Builds lm ops on a bank: `groups` matrices [R, C] below each other, as one tensor [groups·R, C].
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_TRANSFORMS_OPTIMIZERS_MATRIXMATH_H
#define SMELT_COMPILER_TRANSFORMS_OPTIMIZERS_MATRIXMATH_H

#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"

namespace smelt {

/// Scalars are rank-0 tensors; "rows" are tensors with one number per row of the bank.
class MatrixMath {
public:
  MatrixMath(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value bank, mlir::Value lr,
             int64_t groups);

  mlir::Value constant(double value);
  mlir::Value mix(llvm::ArrayRef<mlir::Value> values, llvm::ArrayRef<mlir::Value> coefficients);
  mlir::Value multiply(mlir::Value a, mlir::Value b);
  mlir::Value unary(mlir::lm::UnaryKind kind, mlir::Value x);
  mlir::Value atLeast(mlir::Value x, double bound);
  /// Block by block: op(a)·op(b), `rows` x `columns` each.
  mlir::Value multiplyMatrices(mlir::Value a, mlir::Value b, bool transposeA, bool transposeB,
                               int64_t rows, int64_t columns);

  /// Rows: Σ x·y over each row.
  mlir::Value dotRows(mlir::Value x, mlir::Value y);
  /// Σ over each matrix of `rows`, one number per matrix.
  mlir::Value sumGroups(mlir::Value rows);
  /// Rows: the matrix's number at each of its rows.
  mlir::Value expand(mlir::Value perMatrix);
  /// x · rows.
  mlir::Value scaleRows(mlir::Value x, mlir::Value rows);
  /// Σ values[i] · scalars[i] · constants[i][matrix]: one mix if the constants are the same for all
  /// matrices. Constants of more matrices than the bank has are those of all ranks' parts of it.
  mlir::Value mixPerMatrix(llvm::ArrayRef<mlir::Value> values, llvm::ArrayRef<mlir::Value> scalars,
                           llvm::ArrayRef<llvm::SmallVector<double>> constants);

  /// Momentum, as both optimisers have it: {direction u, new momentum}.
  std::pair<mlir::Value, mlir::Value> moveMomentum(mlir::Value gradient, mlir::Value momentum,
                                                   mlir::Value mu, bool nesterov);
  /// Newton–Schulz on u / (‖u‖·normScale + normEps).
  mlir::Value orthogonalise(mlir::Value u, double normScale, double normEps,
                            llvm::ArrayRef<double> coefficients);

  int64_t getRows() const { return type.getDimSize(0) / groups; }
  int64_t getColumns() const { return type.getDimSize(1); }

  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::RankedTensorType type, rowsType, scalarType, perMatrixType;
  int64_t groups;
};

/// Write the op's meaning as lm ops and erase it.
void expandMuon(mlir::train::MuonOp op);
void expandNorMuon(mlir::train::NorMuonOp op);

} // namespace smelt

#endif
