//===- EvaluateLoss.cpp - Soft cap, cross entropy, count of targets -------===//
#include "compiler/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::reference;

static double capSoftly(SoftcapKind kind, double z, double amplitude, double temperature) {
  switch (kind) {
  case SoftcapKind::tanh:
    return amplitude * std::tanh(z / temperature);
  case SoftcapKind::sigmoid:
    return amplitude / (1.0 + std::exp(-z / temperature));
  case SoftcapKind::rsqrt:
    return amplitude * z / std::sqrt(z * z + amplitude * amplitude);
  }
  llvm_unreachable("every kind is above");
}

static double differentiateSoftcap(SoftcapKind kind, double z, double amplitude,
                                   double temperature) {
  switch (kind) {
  case SoftcapKind::tanh: {
    double y = std::tanh(z / temperature);
    return amplitude / temperature * (1.0 - y * y);
  }
  case SoftcapKind::sigmoid: {
    double y = 1.0 / (1.0 + std::exp(-z / temperature));
    return amplitude / temperature * y * (1.0 - y);
  }
  case SoftcapKind::rsqrt:
    return std::pow(amplitude, 3) * std::pow(z * z + amplitude * amplitude, -1.5);
  }
  llvm_unreachable("every kind is above");
}

static LogicalResult evaluateCrossEntropy(CrossEntropyOp op, Frame &frame) {
  const Tensor &logits = frame[op.getLogits()], &targets = frame[op.getTargets()];
  Tensor &loss = frame.define(op.getLoss()), &lse = frame.define(op.getLse());
  for (int64_t t = 0; t < logits.getDim(0); ++t) {
    double maximum = -INFINITY, sum = 0;
    for (int64_t v = 0; v < logits.getDim(1); ++v)
      maximum = std::max(maximum, logits(t, v));
    for (int64_t v = 0; v < logits.getDim(1); ++v)
      sum += std::exp(logits(t, v) - maximum);
    lse(t) = maximum + std::log(sum);
    int64_t target = int64_t(targets(t));
    if (target < -1 || target >= logits.getDim(1))
      return op.emitOpError("target ")
             << t << " is " << target << ", but there are " << logits.getDim(1) << " classes";
    loss(t) = target < 0 ? 0.0 : lse(t) - logits(t, target);
  }
  return success();
}

Evaluation smelt::reference::evaluateLoss(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](SoftcapOp op) {
        const Tensor &x = frame[op.getX()];
        Tensor &result = frame.define(op.getResult());
        for (int64_t i = 0; i < x.getNumElements(); ++i)
          result(i) = capSoftly(op.getKind(), x(i), op.getAmplitude().convertToDouble(),
                                op.getTemperature().convertToDouble());
        return success();
      })
      .Case([&](SoftcapBackwardOp op) {
        const Tensor &x = frame[op.getX()], &dy = frame[op.getDy()];
        Tensor &dx = frame.define(op.getDx());
        for (int64_t i = 0; i < x.getNumElements(); ++i)
          dx(i) =
              dy(i) * differentiateSoftcap(op.getKind(), x(i), op.getAmplitude().convertToDouble(),
                                           op.getTemperature().convertToDouble());
        return success();
      })
      .Case([&](CrossEntropyOp op) { return evaluateCrossEntropy(op, frame); })
      .Case([&](CrossEntropyBackwardOp op) {
        const Tensor &logits = frame[op.getLogits()], &targets = frame[op.getTargets()],
                     &lse = frame[op.getLse()], &dloss = frame[op.getDloss()];
        Tensor &dlogits = frame.define(op.getDlogits());
        for (int64_t t = 0; t < logits.getDim(0); ++t)
          for (int64_t v = 0; v < logits.getDim(1); ++v)
            dlogits(t, v) =
                targets(t) < 0
                    ? 0.0
                    : dloss(t) * (std::exp(logits(t, v) - lse(t)) - (targets(t) == v ? 1.0 : 0.0));
        return success();
      })
      .Case([&](CountOp op) {
        int64_t count = llvm::count_if(frame[op.getTargets()].values,
                                       [](double target) { return target >= 0; });
        frame.define(op.getResult(), Tensor::scalar(std::max<int64_t>(count, 1)));
        return success();
      })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
