//===- EvaluateContraction.cpp - Matrix products and embeddings -----------===//
#include "compiler/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::reference;

Tensor smelt::reference::multiplyMatrices(const Tensor &a, const Tensor &b, bool transposeA,
                                          bool transposeB) {
  int64_t m = a.getDim(transposeA ? 1 : 0), k = a.getDim(transposeA ? 0 : 1),
          n = b.getDim(transposeB ? 0 : 1);
  Tensor c = Tensor::filled({m, n}, NAN);
  for (int64_t row = 0; row < m; ++row)
    for (int64_t column = 0; column < n; ++column) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i)
        sum += (transposeA ? a(i, row) : a(row, i)) * (transposeB ? b(column, i) : b(i, column));
      c(row, column) = sum;
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
        frame.define(op.getResult(), multiplyMatrices(frame[op.getA()], frame[op.getB()],
                                                      op.getTransposeA(), op.getTransposeB()));
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
