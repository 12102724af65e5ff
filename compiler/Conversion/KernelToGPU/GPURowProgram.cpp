//===- GPURowProgram.cpp - What a region of row ops needs to run ----------===//
#include "compiler/Conversion/KernelToGPU/GPURowProgram.h"
#include "compiler/Conversion/RowOps.h"
#include "compiler/Conversion/RowTables.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {
namespace {

bool isRowSum(Operation *op) { return isa<SumOp, DotOp, CountOp, GateBackwardOp, GroupSumOp>(op); }

/// The result's first axis is none of rows: a weight's gradient, a number per group.
bool isSumOfRows(Value value) {
  if (auto gate = value.getDefiningOp<GateBackwardOp>())
    return value == gate.getDw();
  return value.getDefiningOp<GroupSumOp>() != nullptr;
}

/// A chunk must lie within one piece of such a width.
void collectPieces(Operation *op, SmallVectorImpl<int64_t> &widths) {
  for (Value value : op->getResults())
    if (int64_t width = segmentOf(value); width > 1)
      widths.push_back(width);
  if (isa<RopeOp>(op))
    widths.push_back(segmentOf(op->getResult(0)) / 2);
  if (isa<SplitOp, ConcatOp>(op))
    for (Value part : llvm::concat<Value>(op->getOperands(), op->getResults()))
      widths.push_back(segmentOf(part));
  if (isa<TokenShiftOp, TokenShiftAdjointOp, TokenShiftDotOp>(op))
    for (int64_t at : op->getAttrOfType<DenseI64ArrayAttr>("features").asArrayRef())
      if (at)
        widths.push_back(at);
  if (isa<GateOp, GateBackwardOp>(op))
    widths.push_back(segmentOf(op->getOperand(1)));
}

} // namespace

llvm::StringRef whyNotGPURowOp(Operation *op) {
  if (!op->getName().hasTrait<RowOp>())
    return "it is not a row op";
  for (Type type : llvm::concat<const Type>(op->getOperandTypes(), op->getResultTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !tensor.hasStaticShape())
      return "it has an operand or result that is no tensor of static shape";
    Type element = tensor.getElementType();
    if (!element.isF32() && !element.isBF16() && !element.isF16() && !element.isInteger(32) &&
        !element.isInteger(16) && !isa<Float8E4M3FNType, Float8E5M2Type>(element))
      return "its element type is none of f32, bf16, f16, f8E4M3FN, f8E5M2, i16 and i32";
    if (tensor.getNumElements() == 0)
      return "it has an empty tensor";
  }
  auto segments = [](Value v) {
    return featuresOf(tensorOf(v)) / std::max<int64_t>(1, tensorOf(v).getShape().back());
  };
  if (isa<RMSNormOp, RMSNormBackwardOp, RowDotOp, TokenShiftDotOp>(op) &&
      tensorOf(op->getOperand(0)).getRank() == 3 && segments(op->getOperand(0)) > 64)
    return "it has more than 64 heads";
  return {};
}

GPURowProgram::GPURowProgram(Region &region, bool mayFlatten) : block(region.front()) {
  analyse(mayFlatten);
}

int64_t GPURowProgram::getFeatures(Value value) const {
  return flatFeatures && !isRankZero(value) ? flatFeatures : featuresOf(tensorOf(value));
}

int64_t GPURowProgram::getSegment(Value value) const {
  if (flatFeatures && !isRankZero(value))
    return flatFeatures;
  return segmentOf(value);
}

bool GPURowProgram::hasRowResults() const {
  return llvm::any_of(getTerminator()->getOperands(), [&](Value v) { return !isTotal(v); });
}

bool GPURowProgram::hasTotalResults() const {
  return llvm::any_of(getTerminator()->getOperands(), [&](Value v) { return isTotal(v); });
}

void GPURowProgram::analyse(bool mayFlatten) {
  bool flattenable = mayFlatten, mixed = false;
  int64_t elements = -1, found = -1;
  auto note = [&](Value value) {
    if (isRankZero(value))
      return;
    flattenable &= !isIndices(value);
    int64_t n = tensorOf(value).getNumElements(), size = tensorOf(value).getDimSize(0);
    flattenable &= elements < 0 || elements == n;
    mixed |= found >= 0 && found != size;
    elements = n, found = size;
  };
  for (Operation &op : block.without_terminator()) {
    if (llvm::StringRef why = whyNotGPURowOp(&op); !why.empty()) {
      reason = (llvm::Twine(op.getName().getStringRef()) + ": " + why).str();
      return;
    }
    flattenable &= isFlattenable(&op);
    chunkwise &= !isRowReduction(&op) && !isRowSum(&op);
    for (OpOperand &use : op.getOpOperands())
      if (!isUniformOperand(use) && !isTable(use.get()))
        note(use.get());
    for (Value result : op.getResults())
      if (!isSumOfRows(result) && !isa<ConstantOp>(op) && !isTable(result))
        note(result);
  }
  for (Value value : block.getTerminator()->getOperands())
    if (!isSumOfRows(value))
      note(value);
  rows = std::max<int64_t>(found, 1);
  if (flattenable && elements > 1 && elements < (int64_t(1) << 31)) {
    flatFeatures = elements;
    rows = 1;
  } else if (mixed) {
    reason = "tensors of different first axes in one region";
    return;
  }
  if (planTotals())
    planVector();
}

bool GPURowProgram::planTotals() {
  llvm::DenseSet<Value> late; // Values that exist only after all rows.
  for (Operation &op : block.without_terminator()) {
    bool usesLate = llvm::any_of(op.getOperands(), [&](Value v) { return late.contains(v); });
    bool rankZero = op.getNumResults() && isRankZero(op.getResult(0)) && !isRowSum(&op);
    if (usesLate && !rankZero) {
      reason = (llvm::Twine(op.getName().getStringRef()) +
                ": uses a sum over all rows of the same kernel")
                   .str();
      return false;
    }
    if (isRowSum(&op)) {
      Value sum = op.getResult(op.getNumResults() - 1);
      if (sum.use_empty())
        continue;
      late.insert(sum), totals.insert(sum);
      sums.push_back(&op);
    } else if (rankZero) {
      totals.insert(op.getResult(0));
      if (usesLate)
        late.insert(op.getResult(0));
    }
  }
  for (BlockArgument argument : block.getArguments())
    if (isRankZero(argument))
      totals.insert(argument);
  return true;
}

void GPURowProgram::planVector() {
  SmallVector<int64_t> pieces;
  if (flatFeatures)
    pieces.push_back(flatFeatures);
  for (Operation &op : block.without_terminator()) {
    if (!flatFeatures)
      collectPieces(&op, pieces);
    for (Value value : llvm::concat<Value>(op.getOperands(), op.getResults()))
      if (!totals.contains(value) && !isRankZero(value) && !isTable(value))
        widestRow = std::max(widestRow, getFeatures(value));
  }
  for (Value value : block.getTerminator()->getOperands())
    if (!totals.contains(value)) {
      widestRow = std::max(widestRow, getFeatures(value));
      if (getSegment(value) > 1)
        pieces.push_back(getSegment(value));
    }
  for (int64_t width : pieces)
    while (vector > 1 && width % vector)
      vector /= 2;
}

bool GPURowProgram::isElementwiseIn(unsigned argument) const {
  return chunkwise && isReadElementwise(block.getArgument(argument));
}

} // namespace smelt
