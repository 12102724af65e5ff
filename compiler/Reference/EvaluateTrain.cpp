//===- EvaluateTrain.cpp - Gradient sinks, writes, optimisers -------------===//
#include "compiler/Reference/Evaluate.h"
#include "dialects/Train/TrainOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace smelt::reference;

/// a + t·(b − a)
static double lerp(double a, double b, double t) { return a + t * (b - a); }

void smelt::reference::updateAdamW(const AdamWConstants &constants, const Tensor &gradient,
                                   Tensor &parameter, Tensor &first, Tensor &second) {
  double firstCorrection = 1.0 - std::pow(constants.beta1, constants.step);
  double secondCorrection = 1.0 - std::pow(constants.beta2, constants.step);
  for (int64_t i = 0; i < parameter.getNumElements(); ++i) {
    first(i) = lerp(gradient(i), first(i), constants.beta1);
    second(i) = lerp(gradient(i) * gradient(i), second(i), constants.beta2);
    double direction =
        first(i) / firstCorrection / (std::sqrt(second(i) / secondCorrection) + constants.eps);
    parameter(i) -= constants.lr * (constants.weightDecay * parameter(i) + direction);
  }
}

static Tensor addScaled(const Tensor &x, double a, const Tensor &y, double b) {
  Tensor result = x;
  for (int64_t i = 0; i < x.getNumElements(); ++i)
    result(i) = a * x(i) + b * y(i);
  return result;
}

/// Newton–Schulz: X = u/(‖u‖·(1 + 2⁻⁶) + 1e-7), then the polynomial of each coefficient triple.
static Tensor orthogonalise(Tensor x, ArrayRef<double> coefficients) {
  double squares = 0;
  for (double value : x.values)
    squares += value * value;
  double norm = std::sqrt(squares) * (1.0 + 1.0 / 64) + 1e-7;
  for (double &value : x.values)
    value /= norm;
  bool isTall = x.getDim(0) > x.getDim(1);
  for (size_t i = 0; i < coefficients.size(); i += 3) {
    Tensor a = isTall ? multiplyMatrices(x, x, true, false) : multiplyMatrices(x, x, false, true);
    Tensor b = addScaled(a, coefficients[i + 1], multiplyMatrices(a, a, false, false),
                         coefficients[i + 2]);
    Tensor product =
        isTall ? multiplyMatrices(x, b, false, false) : multiplyMatrices(b, x, false, false);
    x = addScaled(x, coefficients[i], product, 1.0);
  }
  return x;
}

static LogicalResult evaluateMuon(train::MuonOp op, Frame &frame) {
  const Tensor &gradient = frame[op.getGradient()], &momentum = frame[op.getMomentum()];
  double mu = frame[op.getMu()].item(),
         lr = frame[op.getLr()].item() * op.getLrScale().convertToDouble();
  double weightDecay = op.getWeightDecay().convertToDouble();
  Tensor &parameter = frame.define(op.getNewParameter(), frame[op.getParameter()]);
  Tensor &buffer = frame.define(op.getNewMomentum());
  Tensor update = gradient;
  for (int64_t i = 0; i < gradient.getNumElements(); ++i) {
    buffer(i) = lerp(momentum(i), gradient(i), 1.0 - mu);
    update(i) = op.getNesterov() ? lerp(gradient(i), buffer(i), mu) : buffer(i);
  }
  int64_t rows = gradient.getDim(0), columns = gradient.getDim(1);
  double factor = std::sqrt(std::max(1.0, double(rows) / columns));
  Tensor x = orthogonalise(update, op.getCoefficients());
  for (int64_t i = 0; i < rows * columns; ++i)
    parameter(i) = parameter(i) - lr * weightDecay * parameter(i) - lr * factor * x(i);
  return success();
}

/// Replaces the whole tensor or rows of it; a state that was never written is zero.
static LogicalResult evaluateWrite(train::WriteOp op, Frame &frame) {
  const Tensor &value = frame[op.getValue()];
  auto [entry, isNew] = frame.interpreter.tensors.try_emplace(op.getSymbol().str());
  Tensor &target = entry->second;
  if (isNew) {
    auto state = SymbolTable::lookupNearestSymbolFrom<train::StateOp>(op, op.getSymbolAttr());
    target =
        state ? Tensor::filled(cast<RankedTensorType>(state.getType()).getShape(), 0.0) : value;
  }
  int64_t width = value.getRank() ? value.getNumElements() / value.getDim(0) : 1;
  int64_t first = int64_t(op.getFirstRow()) * width;
  if (first + value.getNumElements() > target.getNumElements())
    return op.emitOpError("writes rows that @") << op.getSymbol() << " does not have";
  std::copy(value.values.begin(), value.values.end(), target.values.begin() + first);
  return success();
}

Evaluation smelt::reference::evaluateTrain(Operation *op, Frame &frame) {
  auto &gradients = frame.interpreter.gradients;
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](train::GradientOp op) {
        const Tensor &gradient = frame[op.getGradient()];
        auto [entry, isNew] = gradients.try_emplace(op.getParameter().str(), gradient);
        if (!isNew && op.getTotal())
          entry->second = gradient;
        else if (!isNew)
          entry->second = addScaled(entry->second, 1.0, gradient, 1.0);
        frame.interpreter.round(op.getGradient().getType(), entry->second);
        return success();
      })
      .Case([&](train::ReadGradientOp op) -> LogicalResult {
        auto found = gradients.find(op.getParameter().str());
        if (found == gradients.end())
          return op.emitOpError("reads the gradient of @")
                 << op.getParameter() << ", which no program gave";
        return defineRows(op, op.getGradient(), found->second, op.getFirstRow(), frame);
      })
      .Case([&](train::WriteOp op) { return evaluateWrite(op, frame); })
      .Case([&](train::AdamWOp op) { return evaluateAdamW(op, frame); })
      .Case([&](train::MuonOp op) { return evaluateMuon(op, frame); })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
