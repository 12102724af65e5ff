//===- Tensor.h - The interpreter's values ----------------------*- C++ -*-===//
#ifndef SMELT_COMPILER_REFERENCE_TENSOR_H
#define SMELT_COMPILER_REFERENCE_TENSOR_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <vector>

namespace smelt::reference {

/// A dense row-major tensor of doubles. Integers (i32) are held exactly.
struct Tensor {
  llvm::SmallVector<int64_t> shape;
  std::vector<double> values;

  Tensor() = default;
  Tensor(llvm::ArrayRef<int64_t> shape, std::vector<double> values);

  /// Of `type`'s shape, every element NaN: what an op forgets to write is seen.
  static Tensor poisoned(mlir::RankedTensorType type);
  static Tensor filled(llvm::ArrayRef<int64_t> shape, double value);
  static Tensor scalar(double value) { return Tensor({}, {value}); }

  int64_t getRank() const { return shape.size(); }
  int64_t getNumElements() const { return values.size(); }
  int64_t getDim(int64_t axis) const { return shape[axis]; }
  /// Size of the last axis (1 for rank 0).
  int64_t getWidth() const { return shape.empty() ? 1 : shape.back(); }
  /// The only element of a rank-0 tensor (element 0 of any other).
  double item() const { return values.front(); }

  double &operator()(int64_t i) { return values[i]; }
  double operator()(int64_t i) const { return values[i]; }
  double &operator()(int64_t i, int64_t j) { return values[i * shape[1] + j]; }
  double operator()(int64_t i, int64_t j) const { return values[i * shape[1] + j]; }
  double &operator()(int64_t i, int64_t j, int64_t k) {
    return values[(i * shape[1] + j) * shape[2] + k];
  }
  double operator()(int64_t i, int64_t j, int64_t k) const {
    return values[(i * shape[1] + j) * shape[2] + k];
  }
};

/// a·x + b·y of two tensors of one shape.
Tensor addScaled(const Tensor &x, double a, const Tensor &y, double b);

/// `value` rounded to the nearest number of `elementType` (ties to even). Beyond its range:
/// infinities, but in f8 the largest number.
double roundTo(mlir::Type elementType, double value);
void roundTo(mlir::Type elementType, Tensor &tensor);

} // namespace smelt::reference

#endif
