//===- EvaluateContraction.cpp - Matrix products and embeddings -----------===//
#include "compiler/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::reference;

Tensor smelt::reference::multiplyMatrices(const Tensor &a, const Tensor &b, bool transposeA,
                                          bool transposeB, int64_t groups) {
  int64_t aRows = a.getDim(0) / groups, bRows = b.getDim(0) / groups;
  int64_t m = transposeA ? a.getDim(1) : aRows, k = transposeA ? aRows : a.getDim(1),
          n = transposeB ? bRows : b.getDim(1);
  Tensor c = Tensor::filled({groups * m, n}, NAN);
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t row = 0; row < m; ++row)
      for (int64_t column = 0; column < n; ++column) {
        int64_t a0 = group * aRows, b0 = group * bRows;
        double sum = 0;
        for (int64_t i = 0; i < k; ++i)
          sum += (transposeA ? a(a0 + i, row) : a(a0 + row, i)) *
                 (transposeB ? b(b0 + column, i) : b(b0 + i, column));
        c(group * m + row, column) = sum;
      }
  return c;
}

Tensor smelt::reference::scatterAddRows(const Tensor &tokens, const Tensor &dy, int64_t rows) {
  Tensor result = Tensor::filled({rows, dy.getDim(1)}, 0.0);
  for (int64_t t = 0; t < tokens.getDim(0); ++t)
    for (int64_t i = 0; i < dy.getDim(1); ++i)
      result(int64_t(tokens(t)), i) += dy(t, i);
  return result;
}

/// Every token must be a row of the table.
static LogicalResult checkTokens(Operation *op, const Tensor &tokens, int64_t rows) {
  for (auto [t, token] : llvm::enumerate(tokens.values))
    if (!(token >= 0 && token < rows))
      return op->emitOpError("token ")
             << t << " is " << int64_t(token) << ", but the table has " << rows << " rows";
  return success();
}

static LogicalResult evaluateEmbedding(EmbeddingOp op, Frame &frame) {
  const Tensor &table = frame[op.getTable()], &tokens = frame[op.getTokens()];
  if (failed(checkTokens(op, tokens, table.getDim(0))))
    return failure();
  Tensor &result = frame.define(op.getResult());
  for (int64_t t = 0; t < tokens.getDim(0); ++t)
    for (int64_t i = 0; i < table.getDim(1); ++i)
      result(t, i) = table(int64_t(tokens(t)), i);
  return success();
}

Evaluation smelt::reference::evaluateContraction(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](MatmulOp op) {
        frame.define(op.getResult(),
                     multiplyMatrices(frame[op.getA()], frame[op.getB()], op.getTransposeA(),
                                      op.getTransposeB(), op.getGroups()));
        return success();
      })
      .Case([&](EmbeddingOp op) { return evaluateEmbedding(op, frame); })
      .Case([&](EmbeddingBackwardOp op) -> LogicalResult {
        int64_t rows = cast<RankedTensorType>(op.getResult().getType()).getDimSize(0);
        if (failed(checkTokens(op, frame[op.getTokens()], rows)))
          return failure();
        frame.define(op.getResult(),
                     scatterAddRows(frame[op.getTokens()], frame[op.getDy()], rows));
        return success();
      })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
