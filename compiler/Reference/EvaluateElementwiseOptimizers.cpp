//===- EvaluateElementwiseOptimizers.cpp - AdamW, Adam, Snoo --------------===//
//
// Written from the equations at the ops (TrainOps.td), not from their expansion.
//
//===----------------------------------------------------------------------===//
#include "compiler/Reference/Evaluate.h"
#include "dialects/Train/TrainOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace smelt::reference;

/// `epsCorrected`: Adam, which adds eps before the correction of √v; AdamW adds it after.
template <typename Op>
static LogicalResult evaluateAdam(Op op, bool epsCorrected, Frame &frame) {
  double beta1 = op.getBeta1().convertToDouble(), beta2 = op.getBeta2().convertToDouble(),
         eps = op.getEps().convertToDouble(), correction1 = frame[op.getCorrection1()].item(),
         correction2 = frame[op.getCorrection2()].item();
  for (size_t i = 0; i < op.getParameters().size(); ++i) {
    double rate = frame[op.getLr()].item() * op.getLrScales()[i];
    const Tensor &g = frame[op.getGradients()[i]];
    Tensor &p = frame.define(op.getNewParameters()[i], frame[op.getParameters()[i]]);
    Tensor &m = frame.define(op.getNewFirstMoments()[i], frame[op.getFirstMoments()[i]]);
    Tensor &v = frame.define(op.getNewSecondMoments()[i], frame[op.getSecondMoments()[i]]);
    for (int64_t j = 0; j < p.getNumElements(); ++j) {
      m(j) = beta1 * m(j) + (1 - beta1) * g(j);
      v(j) = beta2 * v(j) + (1 - beta2) * g(j) * g(j);
      double root = epsCorrected ? (std::sqrt(v(j)) + eps) / std::sqrt(correction2)
                                 : std::sqrt(v(j)) / std::sqrt(correction2) + eps;
      p(j) -= rate * (op.getWeightDecays()[i] * p(j) + m(j) / correction1 / root);
    }
  }
  return success();
}

static LogicalResult evaluateSnoo(train::SnooOp op, Frame &frame) {
  double mu = op.getMomentum().convertToDouble();
  for (size_t i = 0; i < op.getParameters().size(); ++i) {
    Tensor g = frame[op.getOuterCopies()[i]];
    Tensor &p = frame.define(op.getNewParameters()[i], frame[op.getParameters()[i]]);
    Tensor &outer = frame.define(op.getNewOuterCopies()[i], g);
    Tensor &buffer = frame.define(op.getNewMomenta()[i], frame[op.getMomenta()[i]]);
    for (int64_t j = 0; j < p.getNumElements(); ++j)
      g(j) -= p(j);
    frame.interpreter.round(op.getParameters()[i].getType(), g);
    for (int64_t j = 0; j < p.getNumElements(); ++j) {
      buffer(j) = mu * buffer(j) + g(j);
      double direction = op.getNesterov() ? g(j) + mu * buffer(j) : buffer(j);
      p(j) = outer(j) = outer(j) - op.getLrs()[i] * direction;
    }
  }
  return success();
}

Evaluation smelt::reference::evaluateElementwiseOptimizers(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](train::AdamWOp op) { return evaluateAdam(op, false, frame); })
      .Case([&](train::AdamOp op) { return evaluateAdam(op, true, frame); })
      .Case([&](train::SnooOp op) { return evaluateSnoo(op, frame); })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
