//===- EvaluateTrain.cpp - Gradient sinks, writes, optimisers -------------===//
#include "compiler/Reference/Evaluate.h"
#include "dialects/Train/TrainCollectives.h"
#include "dialects/Train/TrainOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace smelt::reference;

/// Replaces the whole tensor or rows of it; a state that was never written is zero.
static LogicalResult evaluateWrite(train::WriteOp op, Frame &frame) {
  if (op.getRanks() != 1)
    return op.emitOpError("writes a rank's part; the interpreter is one rank");
  const Tensor &value = frame[op.getValue()];
  Operation *definition = SymbolTable::lookupNearestSymbolFrom(op, op.getSymbolAttr());
  if (auto bank = dyn_cast_or_null<train::BankOp>(definition))
    return scatterBank(op, bank, value, frame.interpreter.tensors);
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
        if (op.getRanks() != 1)
          return op.emitOpError("reads a rank's part; the interpreter is one rank");
        auto found = gradients.find(op.getParameter().str());
        Operation *definition = SymbolTable::lookupNearestSymbolFrom(op, op.getParameterAttr());
        if (auto bank = dyn_cast_or_null<train::BankOp>(definition))
          if (std::optional<Tensor> whole = gatherBank(bank, gradients))
            return defineRows(op, op.getGradient(), *whole, op.getFirstRow(), frame);
        if (found == gradients.end())
          return op.emitOpError("reads the gradient of @")
                 << op.getParameter() << ", which no program gave";
        return defineRows(op, op.getGradient(), found->second, op.getFirstRow(), frame);
      })
      .Case([&](train::AllReduceOp) { return success(); }) // One rank.
      .Case<train::ReduceScatterOp, train::AllGatherOp, train::RankConstantOp>([](auto op) {
        return op.emitOpError("is between ranks; the interpreter is one");
      })
      .Case([&](train::WriteOp op) { return evaluateWrite(op, frame); })
      .Case<train::MuonOp, train::NorMuonOp>(
          [&](auto op) { return evaluateMatrixOptimizer(op, frame); })
      .Default([](Operation *) -> Evaluation { return std::nullopt; });
}
