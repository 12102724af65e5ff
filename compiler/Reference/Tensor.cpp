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

double smelt::reference::roundTo(Type elementType, double value) {
  if (elementType.isF64())
    return value;
  if (elementType.isF32())
    return float(value);
  if (auto type = dyn_cast<FloatType>(elementType)) {
    llvm::APFloat number(value);
    if (type.getWidth() == 8 && !std::isnan(value)) {
      double largest = llvm::APFloat::getLargest(type.getFloatSemantics()).convertToDouble();
      number = llvm::APFloat(std::clamp(value, -largest, largest));
    }
    bool losesInfo;
    number.convert(type.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    return number.convertToDouble();
  }
  return std::nearbyint(value);
}

void smelt::reference::roundTo(Type elementType, Tensor &tensor) {
  for (double &value : tensor.values)
    value = roundTo(elementType, value);
}
