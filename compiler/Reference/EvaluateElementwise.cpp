//===- EvaluateElementwise.cpp - Constants, element-wise ops, sums --------===//
#include "compiler/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::reference;

static double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

static double applyUnary(UnaryKind kind, double x) {
  switch (kind) {
  case UnaryKind::identity:
    return x;
  case UnaryKind::negate:
    return -x;
  case UnaryKind::sigmoid:
    return logistic(x);
  case UnaryKind::tanh:
    return std::tanh(x);
  case UnaryKind::relu:
    return x > 0 ? x : 0;
  case UnaryKind::relu_squared:
    return x > 0 ? x * x : 0;
  case UnaryKind::gelu: // x·Φ(x) with the normal distribution itself, not the tanh approximation.
    return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
  case UnaryKind::silu:
    return x * logistic(x);
  case UnaryKind::exp:
    return std::exp(x);
  case UnaryKind::sqrt:
    return std::sqrt(x);
  case UnaryKind::reciprocal:
    return 1.0 / x;
  case UnaryKind::step:
    return x >= 0 ? 1.0 : 0.0;
  }
  llvm_unreachable("every kind is above");
}

/// f'(x). 0 at relu's corner.
static double differentiateUnary(UnaryKind kind, double x) {
  switch (kind) {
  case UnaryKind::identity:
    return 1.0;
  case UnaryKind::negate:
    return -1.0;
  case UnaryKind::sigmoid:
    return logistic(x) * logistic(-x);
  case UnaryKind::tanh:
    return 1.0 - std::tanh(x) * std::tanh(x);
  case UnaryKind::relu:
    return x > 0 ? 1.0 : 0.0;
  case UnaryKind::relu_squared:
    return x > 0 ? 2.0 * x : 0.0;
  case UnaryKind::gelu:
    return 0.5 * (1.0 + std::erf(x / std::sqrt(2.0))) +
           x * std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI);
  case UnaryKind::silu:
    return logistic(x) * (1.0 + x * logistic(-x));
  case UnaryKind::exp:
    return std::exp(x);
  case UnaryKind::sqrt:
    return 0.5 / std::sqrt(x);
  case UnaryKind::reciprocal:
    return -1.0 / (x * x);
  case UnaryKind::step:
    return 0.0;
  }
  llvm_unreachable("every kind is above");
}

/// f'(x) from y = f(x), for the kinds that allow it.
static double differentiateUnaryFromOutput(UnaryKind kind, double y) {
  switch (kind) {
  case UnaryKind::sigmoid:
    return y * (1.0 - y);
  case UnaryKind::tanh:
    return 1.0 - y * y;
  case UnaryKind::relu:
    return y > 0 ? 1.0 : 0.0;
  case UnaryKind::relu_squared:
    return 2.0 * std::sqrt(y);
  case UnaryKind::exp:
    return y;
  case UnaryKind::sqrt:
    return 0.5 / y;
  case UnaryKind::reciprocal:
    return -y * y;
  default:
    llvm_unreachable("refused by the verifier");
  }
}

/// Index in row_scale's factor `g` for row t and head h of x.
static int64_t getFactorIndex(ArrayRef<int64_t> factorShape, int64_t t, int64_t h) {
  return factorShape.size() == 2 && factorShape[1] > 1 ? t * factorShape[1] + h : t;
}

/// Calls visit(element index, factor index) for every element of a [T, D] or [T, H, d] tensor.
template <typename Visit>
static void forEachWithFactor(const Tensor &x, ArrayRef<int64_t> factorShape, Visit visit) {
  int64_t heads = x.getRank() == 3 ? x.getDim(1) : 1, width = x.getWidth();
  for (int64_t t = 0; t < x.getDim(0); ++t)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < width; ++i)
        visit((t * heads + h) * width + i, getFactorIndex(factorShape, t, h));
}

static LogicalResult evaluateConstant(ConstantOp op, Frame &frame) {
  Tensor &result = frame.define(op.getResult());
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements)
    return op.emitOpError("holds elements that the interpreter cannot read");
  int64_t i = 0;
  if (isa<FloatType>(elements.getElementType()))
    for (const APFloat &value : elements.getValues<APFloat>()) {
      APFloat number = value;
      bool losesInfo;
      number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      result(i++) = number.convertToDouble();
    }
  else
    for (const APInt &value : elements.getValues<APInt>())
      result(i++) = value.getSExtValue();
  return success();
}

Evaluation smelt::reference::evaluateElementwise(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](ConstantOp op) { return evaluateConstant(op, frame); })
      .Case([&](AddOp op) {
        const Tensor &a = frame[op.getA()], &b = frame[op.getB()];
        Tensor &result = frame.define(op.getResult());
        for (int64_t i = 0; i < result.getNumElements(); ++i)
          result(i) = a(i) + b(i);
        return success();
      })
      .Case([&](MultiplyOp op) {
        const Tensor &a = frame[op.getA()], &b = frame[op.getB()];
        Tensor &result = frame.define(op.getResult());
        for (int64_t i = 0; i < result.getNumElements(); ++i)
          result(i) = a(i) * b(i);
        return success();
      })
      .Case([&](MixOp op) {
        Tensor &result = frame.define(op.getResult());
        result = Tensor::filled(result.shape, 0.0);
        for (auto [value, coefficient] : llvm::zip_equal(op.getValues(), op.getCoefficients()))
          result = addScaled(result, 1.0, frame[value], frame[coefficient].item());
        return success();
      })
      .Case([&](ScaleOp op) {
        const Tensor &x = frame[op.getX()];
        double s = frame[op.getS()].item();
        Tensor &result = frame.define(op.getResult());
        for (int64_t i = 0; i < result.getNumElements(); ++i)
          result(i) = x(i) * s;
        return success();
      })
      .Case([&](RowScaleOp op) {
        const Tensor &x = frame[op.getX()], &g = frame[op.getG()];
        Tensor &result = frame.define(op.getResult());
        forEachWithFactor(x, g.shape,
                          [&](int64_t i, int64_t factor) { result(i) = x(i) * g(factor); });
        return success();
      })
      .Case([&](RowDotOp op) {
        const Tensor &a = frame[op.getA()], &b = frame[op.getB()];
        Tensor &result = frame.define(op.getResult());
        result = Tensor::filled(result.shape, 0.0);
        forEachWithFactor(a, result.shape,
                          [&](int64_t i, int64_t factor) { result(factor) += a(i) * b(i); });
        return success();
      })
      .Case([&](UnaryOp op) {
        const Tensor &x = frame[op.getX()];
        Tensor &result = frame.define(op.getResult());
        UnaryKind kind = op.getKind();
        for (int64_t i = 0; i < result.getNumElements(); ++i)
          result(i) = applyUnary(kind, x(i));
        return success();
      })
      .Case([&](UnaryBackwardOp op) {
        const Tensor &x = frame[op.getX()], &dy = frame[op.getDy()];
        Tensor &dx = frame.define(op.getDx());
        UnaryKind kind = op.getKind();
        auto differentiate = op.getFromOutput() ? differentiateUnaryFromOutput : differentiateUnary;
        for (int64_t i = 0; i < dx.getNumElements(); ++i)
          dx(i) = dy(i) * differentiate(kind, x(i));
        return success();
      })
      .Case([&](CastOp op) {
        // The interpreter rounds results; a cast does nothing else.
        Tensor &result = frame.define(op.getResult());
        result.values = frame[op.getX()].values;
        return success();
      })
      .Case([&](BroadcastOp op) {
        const Tensor &x = frame[op.getX()];
        Tensor &result = frame.define(op.getResult());
        int64_t repeats = x.getRank() == 0 ? result.getNumElements() : result.getWidth();
        for (int64_t i = 0; i < result.getNumElements(); ++i)
          result(i) = x(i / repeats);
        return success();
      })
      .Case([&](SumOp op) {
        double sum = 0;
        for (double value : frame[op.getX()].values)
          sum += value;
        frame.define(op.getResult(), Tensor::scalar(sum));
        return success();
      })
      .Case([&](GroupSumOp op) {
        const Tensor &x = frame[op.getX()];
        Tensor &result = frame.define(op.getResult());
        int64_t rows = x.getDim(0) / result.getDim(0);
        for (int64_t group = 0; group < result.getDim(0); ++group) {
          result(group) = 0;
          for (int64_t row = 0; row < rows; ++row)
            result(group) += x(group * rows + row);
        }
        return success();
      })
      .Case([&](ExpandGroupsOp op) {
        const Tensor &x = frame[op.getX()];
        Tensor &result = frame.define(op.getResult());
        int64_t rows = result.getDim(0) / x.getDim(0);
        for (int64_t row = 0; row < result.getDim(0); ++row)
          result(row) = x(row / rows);
        return success();
      })
      .Case([&](AtLeastOp op) {
        const Tensor &x = frame[op.getX()];
        Tensor &result = frame.define(op.getResult());
        for (int64_t i = 0; i < x.getNumElements(); ++i)
          result(i) = std::max(x(i), op.getBound().convertToDouble());
        return success();
      })
      .Case([&](DotOp op) {
        const Tensor &a = frame[op.getA()], &b = frame[op.getB()];
        double sum = 0;
        for (int64_t i = 0; i < a.getNumElements(); ++i)
          sum += a(i) * b(i);
        frame.define(op.getResult(), Tensor::scalar(sum));
        return success();
      })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
