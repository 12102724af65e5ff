//===- EvaluateKernel.cpp - Kernel ops: interpret their regions -----------===//
#include "compiler/Reference/Evaluate.h"
#include "dialects/Kernel/KernelOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>

using namespace mlir;
using namespace smelt::reference;

/// Runs region `index` of a kernel op: `leading` first (a result region's accumulator, a number of
/// its argument's type), then the region's inputs.
template <typename Op>
static FailureOr<std::vector<Tensor>> runRegion(Op op, unsigned index, Frame &frame,
                                                std::vector<Tensor> leading = {}) {
  for (auto [argument, tensor] : llvm::zip(op->getRegion(index).getArguments(), leading))
    frame.interpreter.round(argument.getType(), tensor);
  for (Value input : op.getRegionInputs(index))
    leading.push_back(frame[input]);
  return frame.interpreter.run(op->getRegion(index), leading);
}

static void defineAll(ValueRange values, std::vector<Tensor> &tensors, Frame &frame) {
  for (auto [value, tensor] : llvm::zip_equal(values, tensors))
    frame.define(value, std::move(tensor));
}

static LogicalResult evaluateGemm(kernel::GemmOp op, Frame &frame) {
  auto a = runRegion(op, 0, frame), b = runRegion(op, 1, frame);
  if (failed(a) || failed(b))
    return failure();
  auto results = runRegion(op, 2, frame,
                           {multiplyMatrices(a->front(), b->front(), op.getTransposeA(),
                                             op.getTransposeB(), op.getGroups())});
  if (failed(results))
    return failure();
  defineAll(op.getOutputs(), *results, frame);
  return success();
}

static LogicalResult evaluateAttentionKernel(kernel::AttentionOp op, Frame &frame) {
  auto q = runRegion(op, 0, frame), k = runRegion(op, 1, frame), v = runRegion(op, 2, frame);
  if (failed(q) || failed(k) || failed(v))
    return failure();
  AttentionResult attention = computeAttention(q->front(), k->front(), v->front(),
                                               frame[op.getFirst()], frame[op.getScale()].item());
  auto results = runRegion(op, 3, frame, {attention.out});
  if (failed(results))
    return failure();
  defineAll(op.getOutputs(), *results, frame);
  frame.define(op.getLse(), std::move(attention.lse));
  return success();
}

static LogicalResult evaluateAttentionBackwardKernel(kernel::AttentionBackwardOp op, Frame &frame) {
  auto q = runRegion(op, 0, frame), k = runRegion(op, 1, frame), v = runRegion(op, 2, frame);
  if (failed(q) || failed(k) || failed(v))
    return failure();
  AttentionGradients gradients = computeAttentionBackward(
      q->front(), k->front(), v->front(), frame[op.getFirst()], frame[op.getScale()].item(),
      frame[op.getOut()], frame[op.getLse()], frame[op.getDout()]);
  frame.define(op.getDq(), std::move(gradients.dq));
  frame.define(op.getDk(), std::move(gradients.dk));
  frame.define(op.getDv(), std::move(gradients.dv));
  return success();
}

static LogicalResult evaluateEmbeddingBackwardKernel(kernel::EmbeddingBackwardOp op, Frame &frame) {
  auto dy = runRegion(op, 0, frame);
  if (failed(dy))
    return failure();
  int64_t rows = cast<RankedTensorType>(op.getResult().getArgument(0).getType()).getDimSize(0);
  auto results =
      runRegion(op, 1, frame, {scatterAddRows(frame[op.getTokens()], dy->front(), rows)});
  if (failed(results))
    return failure();
  defineAll(op.getOutputs(), *results, frame);
  return success();
}

/// Runs the region on chunk after chunk of each lane. What lies beyond a lane's end is computed from
/// ones and dropped.
static LogicalResult evaluateForeach(kernel::ForeachOp op, Frame &frame) {
  int64_t chunk = op.getChunk();
  unsigned lanes = op.getLanes();
  for (unsigned lane = 0; lane < lanes; ++lane)
    for (unsigned i = 0; i < op.getOutputPositions(); ++i)
      frame.define(op.getOutputs()[i * lanes + lane]);
  for (unsigned lane = 0; lane < lanes; ++lane)
    for (int64_t begin = 0, size = op.getLaneElements(lane); begin < size; begin += chunk) {
      int64_t count = std::min(chunk, size - begin);
      std::vector<Tensor> arguments;
      for (unsigned i = 0; i < op.getPositions(); ++i) {
        const Tensor &whole = frame[op.getInputs()[i * lanes + lane]];
        arguments.push_back(Tensor::filled({1, chunk}, 1.0));
        std::copy_n(whole.values.begin() + begin, count, arguments.back().values.begin());
      }
      for (auto row : op.getConstants().getAsRange<lm::NumbersAttr>())
        arguments.push_back(Tensor::scalar(row[lane]));
      for (Value uniform : op.getUniforms())
        arguments.push_back(frame[uniform]);
      auto results = frame.interpreter.run(op.getBody(), arguments);
      if (failed(results))
        return failure();
      for (auto [i, result] : llvm::enumerate(*results))
        std::copy_n(result.values.begin(), count,
                    frame.edit(op.getOutputs()[i * lanes + lane]).values.begin() + begin);
    }
  return success();
}

Evaluation smelt::reference::evaluateKernel(Operation *op, Frame &frame) {
  return TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](kernel::GemmOp op) { return evaluateGemm(op, frame); })
      .Case([&](kernel::AttentionOp op) { return evaluateAttentionKernel(op, frame); })
      .Case([&](kernel::AttentionBackwardOp op) {
        return evaluateAttentionBackwardKernel(op, frame);
      })
      .Case([&](kernel::RowwiseOp op) -> LogicalResult {
        auto results = runRegion(op, 0, frame);
        if (failed(results))
          return failure();
        defineAll(op.getOutputs(), *results, frame);
        return success();
      })
      .Case([&](kernel::EmbeddingBackwardOp op) {
        return evaluateEmbeddingBackwardKernel(op, frame);
      })
      .Case([&](kernel::RopeTableOp op) {
        defineRopeTable(op.getTable(), frame[op.getFrequencies()], frame);
        return success();
      })
      .Case([&](kernel::ForeachOp op) { return evaluateForeach(op, frame); })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
