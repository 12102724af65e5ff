//===- EvaluateAttention.cpp - Attention, its range and its gradients -----===//
#include "compiler/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::reference;

static double getScore(const Tensor &q, const Tensor &k, double scale, int64_t t, int64_t j,
                       int64_t h) {
  double dot = 0;
  for (int64_t i = 0; i < q.getDim(2); ++i)
    dot += q(t, h, i) * k(j, h, i);
  return scale * dot;
}

AttentionResult smelt::reference::computeAttention(const Tensor &q, const Tensor &k,
                                                   const Tensor &v, const Tensor &first,
                                                   double scale) {
  int64_t rows = q.getDim(0), heads = q.getDim(1), width = q.getDim(2);
  AttentionResult result{Tensor::filled(q.shape, 0.0), Tensor::filled({rows, heads}, NAN)};
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t begin = int64_t(first(t));
      double maximum = -INFINITY, sum = 0;
      for (int64_t j = begin; j <= t; ++j)
        maximum = std::max(maximum, getScore(q, k, scale, t, j, h));
      for (int64_t j = begin; j <= t; ++j)
        sum += std::exp(getScore(q, k, scale, t, j, h) - maximum);
      result.lse(t, h) = maximum + std::log(sum);
      for (int64_t j = begin; j <= t; ++j) {
        double p = std::exp(getScore(q, k, scale, t, j, h) - result.lse(t, h));
        for (int64_t i = 0; i < width; ++i)
          result.out(t, h, i) += p * v(j, h, i);
      }
    }
  return result;
}

AttentionGradients smelt::reference::computeAttentionBackward(const Tensor &q, const Tensor &k,
                                                              const Tensor &v, const Tensor &first,
                                                              double scale, const Tensor &out,
                                                              const Tensor &lse,
                                                              const Tensor &dout) {
  int64_t rows = q.getDim(0), heads = q.getDim(1), width = q.getDim(2);
  AttentionGradients gradients{Tensor::filled(q.shape, 0.0), Tensor::filled(q.shape, 0.0),
                               Tensor::filled(q.shape, 0.0)};
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      double delta = 0; // Σ_j p[j]·dp[j]
      if (out.shape.size() == 2)
        delta = out(t, h);
      else
        for (int64_t i = 0; i < width; ++i)
          delta += dout(t, h, i) * out(t, h, i);
      for (int64_t j = int64_t(first(t)); j <= t; ++j) {
        double p = std::exp(getScore(q, k, scale, t, j, h) - lse(t, h)), dp = 0;
        for (int64_t i = 0; i < width; ++i)
          dp += dout(t, h, i) * v(j, h, i);
        double ds = p * (dp - delta); // Gradient of the scaled score.
        for (int64_t i = 0; i < width; ++i) {
          gradients.dq(t, h, i) += scale * ds * k(j, h, i);
          gradients.dk(j, h, i) += scale * ds * q(t, h, i);
          gradients.dv(j, h, i) += p * dout(t, h, i);
        }
      }
    }
  return gradients;
}

/// attention_range; with blocks, a query sees its own block and the window/B − 1 blocks before it.
static LogicalResult evaluateRange(AttentionRangeOp op, Frame &frame) {
  const Tensor &documentStart = frame[op.getDocumentStart()];
  int64_t window = int64_t(frame[op.getWindow()].item());
  Tensor &result = frame.define(op.getResult());
  for (int64_t t = 0; t < documentStart.getDim(0); ++t) {
    int64_t first = t - window;
    if (auto size = op.getBlocks())
      first = (t / int64_t(*size) - (std::max<int64_t>(window / int64_t(*size), 1) - 1)) *
              int64_t(*size);
    result(t) = std::max(int64_t(documentStart(t)), first);
  }
  return success();
}

Evaluation smelt::reference::evaluateAttention(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](AttentionRangeOp op) { return evaluateRange(op, frame); })
      .Case([&](AttentionOp op) {
        AttentionResult result =
            computeAttention(frame[op.getQ()], frame[op.getK()], frame[op.getV()],
                             frame[op.getFirst()], frame[op.getScale()].item());
        frame.define(op.getResult(), std::move(result.out));
        frame.define(op.getLse(), std::move(result.lse));
        return success();
      })
      .Case([&](AttentionBackwardOp op) {
        AttentionGradients gradients =
            computeAttentionBackward(frame[op.getQ()], frame[op.getK()], frame[op.getV()],
                                     frame[op.getFirst()], frame[op.getScale()].item(),
                                     frame[op.getOut()], frame[op.getLse()], frame[op.getDout()]);
        frame.define(op.getDq(), std::move(gradients.dq));
        frame.define(op.getDk(), std::move(gradients.dk));
        frame.define(op.getDv(), std::move(gradients.dv));
        return success();
      })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
