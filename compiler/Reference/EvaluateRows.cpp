//===- EvaluateRows.cpp - Shape ops, norm, rotary embedding, gate ---------===//
#include "compiler/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::reference;

/// Calls visit(begin) with the index of the first element of every vector along the last axis.
template <typename Visit> static void forEachVector(const Tensor &x, Visit visit) {
  for (int64_t begin = 0; begin < x.getNumElements(); begin += x.getWidth())
    visit(begin);
}

static double getInverseRootMeanSquare(const Tensor &x, int64_t begin, double eps) {
  double sum = 0;
  for (int64_t i = 0; i < x.getWidth(); ++i)
    sum += x(begin + i) * x(begin + i);
  return 1.0 / std::sqrt(sum / x.getWidth() + eps);
}

static LogicalResult evaluateRope(RopeOp op, Frame &frame) {
  const Tensor &x = frame[op.getX()], &table = frame[op.getTable()];
  Tensor &result = frame.define(op.getResult());
  int64_t half = x.getDim(2) / 2;
  for (int64_t t = 0; t < x.getDim(0); ++t) {
    int64_t row = op.getDocumentStart() ? t - int64_t(frame[op.getDocumentStart()](t)) : t;
    for (int64_t h = 0; h < x.getDim(1); ++h)
      for (int64_t j = 0; j < half; ++j) {
        double cosine = table(row, j), sine = table(row, half + j) * (op.getInverse() ? -1.0 : 1.0);
        double x1 = x(t, h, j), x2 = x(t, h, half + j);
        result(t, h, j) = x1 * cosine + x2 * sine;
        result(t, h, half + j) = -x1 * sine + x2 * cosine;
      }
  }
  return success();
}

void smelt::reference::defineRopeTable(Value value, const Tensor &frequencies, Frame &frame) {
  Tensor &table = frame.define(value);
  int64_t count = frequencies.getDim(0);
  for (int64_t t = 0; t < table.getDim(0); ++t)
    for (int64_t j = 0; j < count; ++j) {
      table(t, j) = std::cos(t * frequencies(j));
      table(t, count + j) = std::sin(t * frequencies(j));
    }
  bool isNarrow = getElementTypeOrSelf(value).getIntOrFloatBitWidth() < 32;
  if (isNarrow && frame.interpreter.getRounding() != Rounding::none)
    roundTo(Float32Type::get(value.getContext()), table);
}

static LogicalResult evaluateGateBackward(GateBackwardOp op, Frame &frame) {
  const Tensor &x = frame[op.getX()], &w = frame[op.getW()], &gate = frame[op.getGate()],
               &dgate = frame[op.getDgate()];
  Tensor &dx = frame.define(op.getDx(), Tensor::filled(x.shape, 0.0));
  Tensor &dw = frame.define(op.getDw(), Tensor::filled(w.shape, 0.0));
  for (int64_t t = 0; t < x.getDim(0); ++t)
    for (int64_t g = 0; g < w.getDim(0); ++g) {
      double dz = dgate(t, g) * gate(t, g) * (1.0 - gate(t, g));
      for (int64_t i = 0; i < w.getDim(1); ++i) {
        dx(t, i) += dz * w(g, i);
        dw(g, i) += dz * x(t, i);
      }
    }
  return success();
}

Evaluation smelt::reference::evaluateRows(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](ReshapeOp op) {
        frame.define(op.getResult()).values = frame[op.getX()].values;
        return success();
      })
      .Case([&](SplitOp op) {
        const Tensor &x = frame[op.getX()];
        int64_t offset = 0;
        for (Value part : op.getParts()) {
          Tensor &piece = frame.define(part);
          int64_t width = piece.getWidth();
          for (int64_t i = 0; i < piece.getNumElements(); ++i)
            piece(i) = x(i / width * x.getWidth() + offset + i % width);
          offset += width;
        }
        return success();
      })
      .Case([&](ConcatOp op) {
        Tensor &result = frame.define(op.getResult());
        int64_t offset = 0;
        for (Value part : op.getParts()) {
          const Tensor &piece = frame[part];
          int64_t width = piece.getWidth();
          for (int64_t i = 0; i < piece.getNumElements(); ++i)
            result(i / width * result.getWidth() + offset + i % width) = piece(i);
          offset += width;
        }
        return success();
      })
      .Case([&](RMSNormOp op) {
        const Tensor &x = frame[op.getX()];
        Tensor &result = frame.define(op.getResult());
        forEachVector(x, [&](int64_t begin) {
          double r = getInverseRootMeanSquare(x, begin, op.getEps().convertToDouble());
          for (int64_t i = begin; i < begin + x.getWidth(); ++i)
            result(i) = x(i) * r;
        });
        return success();
      })
      .Case([&](RMSNormBackwardOp op) {
        const Tensor &x = frame[op.getX()], &dy = frame[op.getDy()];
        Tensor &dx = frame.define(op.getDx());
        forEachVector(x, [&](int64_t begin) {
          double r = getInverseRootMeanSquare(x, begin, op.getEps().convertToDouble());
          double mean = 0;
          for (int64_t i = begin; i < begin + x.getWidth(); ++i)
            mean += dy(i) * x(i) * r / x.getWidth();
          for (int64_t i = begin; i < begin + x.getWidth(); ++i)
            dx(i) = r * (dy(i) - x(i) * r * mean);
        });
        return success();
      })
      .Case([&](RopeTableOp op) {
        defineRopeTable(op.getTable(), frame[op.getFrequencies()], frame);
        return success();
      })
      .Case([&](RopeOp op) { return evaluateRope(op, frame); })
      .Case([&](GateOp op) {
        const Tensor &x = frame[op.getX()], &w = frame[op.getW()];
        Tensor &result = frame.define(op.getResult());
        for (int64_t t = 0; t < x.getDim(0); ++t)
          for (int64_t g = 0; g < w.getDim(0); ++g) {
            double z = 0;
            for (int64_t i = 0; i < w.getDim(1); ++i)
              z += x(t, i) * w(g, i);
            result(t, g) = 1.0 / (1.0 + std::exp(-z));
          }
        return success();
      })
      .Case([&](GateBackwardOp op) { return evaluateGateBackward(op, frame); })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
