//===- RowProgram.cpp - What a region of row ops needs to run -------------===//
#include "compiler/Conversion/KernelToCPU/RowProgram.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {
namespace {

RankedTensorType tensorOf(Value value) { return dyn_cast<RankedTensorType>(value.getType()); }
bool isRankZero(Value value) { return tensorOf(value).getRank() == 0; }
bool isIndices(Value value) { return tensorOf(value).getElementType().isInteger(); }

/// The tensor sums up all rows.
bool isRowSum(Operation *op) { return isa<SumOp, DotOp, CountOp>(op); }

/// Operand holds the same for every row (a scalar, weights, a table) or is a list of indices.
bool isUniformOperand(OpOperand &use) {
  Operation *op = use.getOwner();
  if (isRankZero(use.get()) || isIndices(use.get()))
    return true;
  if (isa<EmbeddingOp>(op))
    return use.getOperandNumber() == 0;
  if (isa<GateOp, GateBackwardOp, RopeOp>(op))
    return use.getOperandNumber() == 1;
  return false;
}

bool isExpensive(Operation *op) {
  auto kindIsExpensive = [](UnaryKind kind) {
    return llvm::is_contained({UnaryKind::sigmoid, UnaryKind::tanh, UnaryKind::gelu, UnaryKind::silu, UnaryKind::exp}, kind);
  };
  if (auto unary = dyn_cast<UnaryOp>(op))
    return kindIsExpensive(unary.getKind());
  if (auto backward = dyn_cast<UnaryBackwardOp>(op))
    return !backward.getFromOutput() && kindIsExpensive(backward.getKind());
  return isa<SoftcapOp, SoftcapBackwardOp, CrossEntropyBackwardOp>(op);
}

/// Ops that need sums (or maxima) over a row, and so loops before the one that stores results.
bool isRowReduction(Operation *op) {
  return isa<RMSNormOp, RMSNormBackwardOp, RowDotOp, TokenShiftDotOp, GateOp, GateBackwardOp, CrossEntropyOp>(op);
}

/// Works element by element whatever the shape.
bool isFlattenable(Operation *op) {
  return isa<AddOp, MultiplyOp, MixOp, ScaleOp, UnaryOp, UnaryBackwardOp, CastOp, SoftcapOp, SoftcapBackwardOp, SumOp, DotOp>(op) ||
         (isa<ConstantOp>(op) && cast<ConstantOp>(op).getValue().isSplat()) ||
         (isa<BroadcastOp>(op) && isRankZero(op->getOperand(0)));
}

int64_t featuresOf(RankedTensorType type) {
  int64_t features = 1;
  for (int64_t i = 1; i < type.getRank(); ++i)
    features *= type.getDimSize(i);
  return features;
}

/// Widths such that a chunk must lie within one such piece of the row; 0: no such restriction.
SmallVector<int64_t> pieceWidths(Operation *op) {
  auto last = [](Value v) { return tensorOf(v).getRank() < 2 ? 1 : tensorOf(v).getShape().back(); };
  auto heads = [&](Value v) { return featuresOf(tensorOf(v)) / last(v); };
  SmallVector<int64_t> widths;
  if (isa<RopeOp>(op))
    widths.push_back(last(op->getResult(0)) / 2);
  if (isa<RMSNormOp, RMSNormBackwardOp>(op) && heads(op->getResult(0)) > 1)
    widths.push_back(last(op->getResult(0)));
  if (auto scale = dyn_cast<RowScaleOp>(op); scale && featuresOf(tensorOf(scale.getG())) > 1)
    widths.push_back(last(scale.getX()));
  if (auto broadcast = dyn_cast<BroadcastOp>(op); broadcast && !isRankZero(broadcast.getX()) && featuresOf(tensorOf(broadcast.getX())) > 1)
    widths.push_back(last(broadcast.getResult()));
  if (isa<TokenShiftOp, TokenShiftAdjointOp>(op) && heads(op->getResult(0)) > 1)
    widths.push_back(last(op->getResult(0)));
  if (isa<SplitOp>(op))
    for (Value part : op->getResults())
      widths.push_back(last(part));
  if (isa<ConcatOp>(op))
    for (Value part : op->getOperands())
      widths.push_back(last(part));
  return widths;
}

} // namespace

llvm::StringRef whyNotRowProgram(Operation *op) {
  if (!op->getName().hasTrait<RowOp>())
    return "it is not a row op";
  for (Type type : llvm::concat<const Type>(op->getOperandTypes(), op->getResultTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !tensor.hasStaticShape())
      return "it has an operand or result that is no tensor of static shape";
    if (!tensor.getElementType().isF32() && !tensor.getElementType().isInteger(32))
      return "its element type is neither f32 nor i32";
    if (tensor.getNumElements() == 0)
      return "it has an empty tensor";
  }
  if (auto rope = dyn_cast<RopeOp>(op); rope && tensorOf(rope.getX()).getShape().back() % 2)
    return "its heads have an odd width";
  return {};
}

RowProgram::RowProgram(Region &region, unsigned lanes, bool mayFlatten) : block(region.front()), lanes(lanes) {
  analyse(mayFlatten);
}

int64_t RowProgram::getFeatures(Value value) const {
  if (flatFeatures && !isRankZero(value))
    return flatFeatures;
  return featuresOf(tensorOf(value));
}

int64_t RowProgram::getSegment(Value value) const {
  if (flatFeatures && !isRankZero(value))
    return flatFeatures;
  return tensorOf(value).getRank() < 2 ? 1 : tensorOf(value).getShape().back();
}

void RowProgram::analyse(bool mayFlatten) {
  auto refuse = [&](Operation *op, llvm::StringRef why) {
    if (reason.empty())
      reason = (llvm::Twine(op->getName().getStringRef()) + ": " + why).str();
  };
  bool flattenable = mayFlatten;
  int64_t elements = -1, found = -1;
  auto noteRows = [&](Operation *op, Value value) {
    if (isRankZero(value))
      return;
    flattenable &= !isIndices(value);
    int64_t n = tensorOf(value).getNumElements(), size = tensorOf(value).getDimSize(0);
    if (elements < 0)
      elements = n;
    flattenable &= elements == n;
    if (found >= 0 && found != size)
      refuse(op, "tensors of different first axes in one region");
    found = size;
  };
  for (Operation &op : block.without_terminator()) {
    if (llvm::StringRef why = whyNotRowProgram(&op); !why.empty()) {
      refuse(&op, why);
      return;
    }
    flattenable &= isFlattenable(&op);
    for (OpOperand &use : op.getOpOperands()) {
      if (!isUniformOperand(use)) {
        noteRows(&op, use.get());
        if (auto argument = dyn_cast<BlockArgument>(use.get()))
          rowArguments.insert(argument.getArgNumber());
      } else if (isIndices(use.get()) && !isRankZero(use.get())) {
        noteRows(&op, use.get());
      }
    }
    for (Value result : op.getResults())
      if (!(isa<GateBackwardOp>(op) && result == op.getResult(1)) && !isa<ConstantOp>(op))
        noteRows(&op, result);
  }
  for (Value value : block.getTerminator()->getOperands()) {
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (!isRankZero(value))
        rowArguments.insert(argument.getArgNumber());
      noteRows(block.getTerminator(), value);
    } else if (isa<ConstantOp>(value.getDefiningOp())) {
      noteRows(block.getTerminator(), value);
    }
  }
  for (BlockArgument argument : block.getArguments())
    if (!argument.use_empty() && !tensorOf(argument).getElementType().isF32() && !tensorOf(argument).getElementType().isInteger(32))
      refuse(block.getTerminator(), "an element type is neither f32 nor i32");
  rows = std::max<int64_t>(found, 1);
  if (flattenable && elements > 0) {
    reason.clear(); // Different first axes do not matter then.
    flatFeatures = elements;
    for (int64_t length = std::min<int64_t>(elements, 4096); length >= 256; --length)
      if (elements % length == 0) {
        flatFeatures = length;
        break;
      }
    rows = elements / flatFeatures;
  }
  if (!reason.empty())
    return;
  planTotals();
  planMaterialisation();
  planReach();
}

void RowProgram::planTotals() {
  llvm::DenseSet<Value> late; // Values that exist only after all rows.
  for (Operation &op : block.without_terminator()) {
    bool usesLate = llvm::any_of(op.getOperands(), [&](Value v) { return late.contains(v); });
    bool rankZero = op.getNumResults() && isRankZero(op.getResult(0)) && !isRowSum(&op);
    if (usesLate && !rankZero) {
      reason = (llvm::Twine(op.getName().getStringRef()) + ": uses a sum over all rows of the same kernel").str();
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
      rowCost += weight * std::max(getFeatures(op.getResult(0)), op.getNumOperands() ? getFeatures(op.getOperand(0)) : 1);
  }
  // The loops in which a value is pulled: one per row reduction, one for results of each width. An expensive value wanted by two is
  // computed once, into scratch. In ragged programs everything cut into pieces is, so that any chunk can be read of it.
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

RowReach RowProgram::getReach(unsigned argument) const { return reach.lookup(block.getArgument(argument)); }

bool RowProgram::isElementwiseIn(unsigned argument) const {
  if (!chunkwise)
    return false;
  SmallVector<Value> work{block.getArgument(argument)};
  llvm::DenseSet<Value> seen;
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    for (OpOperand &use : value.getUses()) {
      Operation *op = use.getOwner();
      if (op == block.getTerminator())
        continue;
      bool plain = isa<AddOp, MultiplyOp, MixOp, ScaleOp, UnaryOp, UnaryBackwardOp, CastOp, SoftcapOp, SoftcapBackwardOp, ReshapeOp>(op) ||
                   (isa<RowScaleOp, CrossEntropyBackwardOp>(op) && use.getOperandNumber() == 0);
      if (!plain || isUniformOperand(use))
        return false;
      work.push_back(op->getResult(0));
    }
  }
  return true;
}

Value flattenMemRef(OpBuilder &builder, Location loc, Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  if (type.getRank() == 1)
    return memref;
  auto flat = MemRefType::get({type.getNumElements()}, type.getElementType());
  if (type.getRank() == 0) {
    SmallVector<ReassociationIndices> none;
    return memref::ExpandShapeOp::create(builder, loc, flat, memref, none);
  }
  ReassociationIndices all;
  for (int64_t i = 0; i < type.getRank(); ++i)
    all.push_back(i);
  return memref::CollapseShapeOp::create(builder, loc, flat, memref, ArrayRef<ReassociationIndices>{all});
}

} // namespace smelt
