//===- CountKernel.cpp - Work and traffic of a kernel op ------------------===//
#include "compiler/Transforms/Fusion/CountKernel.h"

#include "compiler/Analysis/Windows.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::kernel;

static int64_t countElements(Value value) {
  return cast<RankedTensorType>(value.getType()).getNumElements();
}

int64_t smelt::getBytes(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

static int64_t countUnaryFlops(lm::UnaryKind kind) {
  switch (kind) {
  case lm::UnaryKind::identity:
  case lm::UnaryKind::negate:
  case lm::UnaryKind::relu:
  case lm::UnaryKind::step:
    return 1;
  case lm::UnaryKind::relu_squared:
  case lm::UnaryKind::reciprocal:
    return 2;
  case lm::UnaryKind::sqrt:
    return 4;
  case lm::UnaryKind::sigmoid:
  case lm::UnaryKind::tanh:
  case lm::UnaryKind::exp:
    return 8;
  case lm::UnaryKind::gelu:
  case lm::UnaryKind::silu:
    return 12;
  }
  return 1;
}

int64_t smelt::countRowOpFlops(Operation *op) {
  int64_t widest = 0;
  for (Value value : op->getOperands())
    widest = std::max(widest, countElements(value));
  if (isa<lm::EmbeddingOp>(op)) // Reads a few rows of its table.
    widest = 0;
  for (Value value : op->getResults())
    widest = std::max(widest, countElements(value));
  return llvm::TypeSwitch<Operation *, int64_t>(op)
      .Case<lm::ConstantOp, lm::ReshapeOp, lm::SplitOp, lm::ConcatOp, lm::EmbeddingOp,
            lm::BroadcastOp, lm::CastOp, lm::ExpandGroupsOp>([](auto) { return 0; })
      .Case<lm::MixOp>([&](lm::MixOp mix) { return 2 * int64_t(mix.getValues().size()) * widest; })
      .Case<lm::UnaryOp>(
          [&](lm::UnaryOp unary) { return countUnaryFlops(unary.getKind()) * widest; })
      .Case<lm::UnaryBackwardOp>([&](lm::UnaryBackwardOp unary) {
        return (countUnaryFlops(unary.getKind()) + 2) * widest;
      })
      .Case<lm::RMSNormOp>([&](auto) { return 3 * widest; })
      .Case<lm::RMSNormBackwardOp>([&](auto) { return 8 * widest; })
      .Case<lm::RopeOp, lm::TokenShiftOp, lm::TokenShiftAdjointOp, lm::TokenShiftDotOp>(
          [&](auto) { return 3 * widest; })
      .Case<lm::SoftcapOp, lm::SoftcapBackwardOp, lm::CrossEntropyOp, lm::CrossEntropyBackwardOp>(
          [&](auto) { return 10 * widest; })
      .Case<lm::DotOp, lm::RowDotOp>([&](auto) { return 2 * widest; })
      .Case<lm::GateOp>([&](lm::GateOp gate) {
        return 2 * countElements(gate.getW()) *
               cast<RankedTensorType>(gate.getX().getType()).getDimSize(0);
      })
      .Case<lm::GateBackwardOp>([&](lm::GateBackwardOp gate) {
        return 4 * countElements(gate.getW()) *
               cast<RankedTensorType>(gate.getX().getType()).getDimSize(0);
      })
      .Default([&](Operation *) { return widest; });
}

/// The op that computes where each query's keys begin, in or before the kernel that gives `first`;
/// none when it is an argument.
static lm::AttentionRangeOp findRange(Value first) {
  if (auto rows = first.getDefiningOp<RowwiseOp>()) {
    Operation *yield = rows.getBody().front().getTerminator();
    first = yield->getOperand(cast<OpResult>(first).getResultNumber());
  }
  return first.getDefiningOp<lm::AttentionRangeOp>();
}

/// Score pairs of all heads, times the head width: the unit of attention's matrix products.
static int64_t countAttentionPairs(Operation *attention, Value first, RankedTensorType heads,
                                   const SymbolTable &symbols) {
  int64_t tokens = heads.getDimSize(0), features = heads.getDimSize(1) * heads.getDimSize(2);
  lm::AttentionRangeOp range = findRange(first);
  if (!range)
    return tokens * (tokens + 1) / 2 * features;
  Value window = range.getWindow();
  if (auto argument = dyn_cast<BlockArgument>(window))
    if (auto rows = dyn_cast<RowwiseOp>(argument.getOwner()->getParentOp()))
      window = rows.getInputs()[argument.getArgNumber()];
  auto function = attention->getParentOfType<func::FuncOp>();
  int64_t step = smelt::getLastStep(attention->getParentOfType<ModuleOp>(), function.getSymName());
  double keys = smelt::averageKeys(tokens, smelt::getWindowAt(window, step, symbols),
                                   range.getBlocks().value_or(0));
  return std::llround(keys * tokens) * features;
}

smelt::KernelCounts smelt::countKernel(Operation *kernel, const SymbolTable &symbols) {
  KernelCounts counts;
  llvm::SmallPtrSet<void *, 16> seen;
  for (Value operand : kernel->getOperands())
    if (seen.insert(operand.getAsOpaquePointer()).second)
      counts.bytes += getBytes(operand);
  for (Value result : kernel->getResults())
    counts.bytes += getBytes(result);
  for (Region &region : kernel->getRegions())
    for (Operation &op : region.front().without_terminator())
      counts.flops += countRowOpFlops(&op);
  if (auto foreach = dyn_cast<ForeachOp>(kernel)) { // The region's chunk stands for all lanes.
    int64_t elements = 0;
    for (unsigned lane = 0; lane < foreach.getLanes(); ++lane)
      elements += foreach.getLaneElements(lane);
    counts.flops = counts.flops / foreach.getChunk() * elements;
  }
  counts.flops +=
      llvm::TypeSwitch<Operation *, int64_t>(kernel)
          .Case<GemmOp>(
              [](GemmOp gemm) { return 2 * gemm.getResultRows() * gemm.getN() * gemm.getK(); })
          .Case<AttentionOp>([&](AttentionOp op) {
            return 4 * countAttentionPairs(op, op.getFirst(), op.getHeadsType(), symbols);
          })
          .Case<AttentionBackwardOp>([&](AttentionBackwardOp op) {
            return 10 * countAttentionPairs(op, op.getFirst(), op.getHeadsType(), symbols);
          })
          .Case<EmbeddingBackwardOp>([](EmbeddingBackwardOp op) {
            return cast<RankedTensorType>(
                       op.getDy().front().getTerminator()->getOperand(0).getType())
                .getNumElements();
          })
          .Case<RopeTableOp>([](RopeTableOp op) { return 8 * countElements(op.getTable()); })
          .Default([](Operation *) { return 0; });
  return counts;
}
