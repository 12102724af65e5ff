//===- Tensor.cpp - The interpreter's values ------------------------------===//
#include "compiler/Reference/Tensor.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/APFloat.h"
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace smelt::reference;

static int64_t countElements(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

Tensor::Tensor(ArrayRef<int64_t> shape, std::vector<double> values)
    : shape(shape), values(std::move(values)) {
  assert(int64_t(this->values.size()) == countElements(shape) &&
         "as many values as the shape has elements");
}

Tensor Tensor::filled(ArrayRef<int64_t> shape, double value) {
  return Tensor(shape, std::vector<double>(countElements(shape), value));
}

Tensor Tensor::poisoned(RankedTensorType type) {
  return filled(type.getShape(), std::numeric_limits<double>::quiet_NaN());
}

Tensor smelt::reference::addScaled(const Tensor &x, double a, const Tensor &y, double b) {
  Tensor result = x;
  for (int64_t i = 0; i < x.getNumElements(); ++i)
    result(i) = a * x(i) + b * y(i);
  return result;
}

namespace {

/// Rounds to the numbers of a type. What the type is, is asked once, not for every number.
class Rounder {
public:
  explicit Rounder(Type elementType) {
    if (auto type = dyn_cast<FloatType>(elementType)) {
      semantics = &type.getFloatSemantics();
      if (type.getWidth() == 8)
        largest = llvm::APFloat::getLargest(*semantics).convertToDouble();
    }
  }

  double operator()(double value) const {
    if (!semantics)
      return std::nearbyint(value);
    if (semantics == &llvm::APFloat::IEEEdouble())
      return value;
    if (semantics == &llvm::APFloat::IEEEsingle())
      return float(value);
    llvm::APFloat number(std::isnan(value) ? value : std::clamp(value, -largest, largest));
    bool losesInfo;
    number.convert(*semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    return number.convertToDouble();
  }

private:
  const llvm::fltSemantics *semantics = nullptr; ///< Null: integers.
  double largest = std::numeric_limits<double>::infinity();
};

} // namespace

double smelt::reference::roundTo(Type elementType, double value) {
  return Rounder(elementType)(value);
}

void smelt::reference::roundTo(Type elementType, Tensor &tensor) {
  Rounder round(elementType);
  for (double &value : tensor.values)
    value = round(value);
}
