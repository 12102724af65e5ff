//===- PlanRowProgram.cpp - Totals, scratch and reach of a RowProgram -----===//
#include "compiler/Conversion/KernelToCPU/RowProgram.h"
#include "compiler/Conversion/RowOps.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {
namespace {

/// The op sums up all rows, or all rows of each group; one number a block.
bool isRowSum(Operation *op) { return isa<SumOp, DotOp, CountOp, GroupSumOp>(op); }

bool isExpensive(Operation *op) {
  auto kindIsExpensive = [](UnaryKind kind) {
    return llvm::is_contained(
        {UnaryKind::sigmoid, UnaryKind::tanh, UnaryKind::gelu, UnaryKind::silu, UnaryKind::exp},
        kind);
  };
  if (auto unary = dyn_cast<UnaryOp>(op))
    return kindIsExpensive(unary.getKind());
  if (auto backward = dyn_cast<UnaryBackwardOp>(op))
    return !backward.getFromOutput() && kindIsExpensive(backward.getKind());
  return isa<SoftcapOp, SoftcapBackwardOp, CrossEntropyBackwardOp>(op);
}

/// Widths such that a chunk must lie within one such piece of the row; 0: no such restriction.
SmallVector<int64_t> pieceWidths(Operation *op) {
  auto heads = [](Value v) { return featuresOf(tensorOf(v)) / segmentOf(v); };
  SmallVector<int64_t> widths;
  if (isa<RopeOp>(op))
    widths.push_back(segmentOf(op->getResult(0)) / 2);
  if (isa<RMSNormOp, RMSNormBackwardOp>(op) && heads(op->getResult(0)) > 1)
    widths.push_back(segmentOf(op->getResult(0)));
  if (auto scale = dyn_cast<RowScaleOp>(op); scale && featuresOf(tensorOf(scale.getG())) > 1)
    widths.push_back(segmentOf(scale.getX()));
  if (auto broadcast = dyn_cast<BroadcastOp>(op);
      broadcast && !isRankZero(broadcast.getX()) && featuresOf(tensorOf(broadcast.getX())) > 1)
    widths.push_back(segmentOf(broadcast.getResult()));
  if (isa<TokenShiftOp, TokenShiftAdjointOp>(op) && heads(op->getResult(0)) > 1)
    widths.push_back(segmentOf(op->getResult(0)));
  if (isa<SplitOp>(op))
    for (Value part : op->getResults())
      widths.push_back(segmentOf(part));
  if (isa<ConcatOp>(op))
    for (Value part : op->getOperands())
      widths.push_back(segmentOf(part));
  return widths;
}

} // namespace

void RowProgram::planTotals() {
  llvm::DenseSet<Value> late; // Values that exist only after all rows.
  for (Operation &op : block.without_terminator()) {
    bool usesLate = llvm::any_of(op.getOperands(), [&](Value v) { return late.contains(v); });
    bool rankZero = op.getNumResults() && isRankZero(op.getResult(0)) && !isRowSum(&op);
    if (usesLate && !rankZero) {
      reason = (llvm::Twine(op.getName().getStringRef()) +
                ": uses a sum over all rows of the same kernel")
                   .str();
      return;
    }
    if (isRowSum(&op) || isa<GateBackwardOp>(op)) {
      Value sum = op.getResult(op.getNumResults() - 1);
      late.insert(sum), totals.insert(sum);
      partialOffsets[sum] = partialFloats;
      partialFloats += llvm::alignTo(isRowSum(&op) ? 1 : tensorOf(sum).getNumElements(), 16);
    } else if (rankZero) {
      totals.insert(op.getResult(0));
      if (usesLate)
        late.insert(op.getResult(0));
    }
  }
  for (BlockArgument argument : block.getArguments())
    if (isRankZero(argument))
      totals.insert(argument);
  chunkwise &= partialFloats == 0;
}

void RowProgram::planMaterialisation() {
  bool ragged = false;
  for (Operation &op : block.without_terminator()) {
    for (int64_t width : pieceWidths(&op))
      ragged |= width % lanes != 0 && !flatFeatures;
    chunkwise &= !isRowReduction(&op);
    int64_t weight = isExpensive(&op) ? 16 : isRowReduction(&op) ? 3 : 1;
    if (op.getNumResults())
      rowCost += weight * std::max(getFeatures(op.getResult(0)),
                                   op.getNumOperands() ? getFeatures(op.getOperand(0)) : 1);
  }
  // The loops in which a value is pulled: one per row reduction, one for results of each width. An
  // expensive value wanted by two is computed once, into scratch. In ragged programs everything cut
  // into pieces is, so that any chunk can be read of it.
  llvm::DenseMap<Value, llvm::SmallSet<int, 4>> loops;
  int nextLoop = 0;
  llvm::SmallDenseMap<int64_t, int> resultLoops;
  for (Value value : block.getTerminator()->getOperands()) {
    auto [it, isNew] = resultLoops.try_emplace(getFeatures(value), nextLoop);
    nextLoop += isNew;
    loops[value].insert(it->second);
  }
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    llvm::SmallSet<int, 4> mine;
    for (Value result : op.getResults())
      for (int loop : loops[result])
        mine.insert(loop);
    bool pieces = ragged && !pieceWidths(&op).empty();
    bool shared = isExpensive(&op) && mine.size() > 1 && getFeatures(op.getResult(0)) >= lanes;
    if (pieces || shared) {
      for (Value result : op.getResults())
        if (!totals.contains(result))
          materialised.insert(result);
      chunkwise = false;
      mine.clear();
      mine.insert(nextLoop++);
    }
    bool ownLoop = isRowReduction(&op) || isRowSum(&op);
    for (Value operand : op.getOperands()) {
      if (ownLoop)
        loops[operand].insert(nextLoop);
      if (isa<CrossEntropyOp>(op))
        loops[operand].insert(nextLoop + 1);
      if (!ownLoop || isa<RMSNormOp, RMSNormBackwardOp>(op))
        for (int loop : mine)
          loops[operand].insert(loop);
    }
    nextLoop += ownLoop ? 2 : 0;
  }
}

void RowProgram::planReach() {
  auto widen = [&](Value value, RowReach by) {
    RowReach &r = reach[value];
    r = {std::max(r.before, by.before), std::max(r.after, by.after)};
  };
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    RowReach mine;
    for (Value result : op.getResults()) {
      RowReach r = reach.lookup(result);
      mine = {std::max(mine.before, r.before), std::max(mine.after, r.after)};
    }
    RowReach moved = mine;
    if (auto shift = dyn_cast<TokenShiftOp>(op))
      moved.before += shift.getDistance();
    if (auto dot = dyn_cast<TokenShiftDotOp>(op))
      moved.before += dot.getDistance();
    if (auto adjoint = dyn_cast<TokenShiftAdjointOp>(op))
      moved.after += adjoint.getDistance();
    for (Value operand : op.getOperands())
      widen(operand, moved);
  }
}

} // namespace smelt
