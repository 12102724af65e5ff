//===- RowProgram.cpp - What a region of row ops needs to run -------------===//
#include "compiler/Conversion/KernelToCPU/RowProgram.h"
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"
#include "compiler/Conversion/RowOps.h"
#include "compiler/Conversion/RowTables.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {
namespace {

/// The operand is not read at the op's own row as numbers: uniform, or a list of indices.
bool isNoRow(OpOperand &use) {
  return isUniformOperand(use) || isIndices(use.get()) || isTable(use.get());
}

} // namespace

llvm::StringRef whyNotRowProgram(Operation *op) {
  if (!op->getName().hasTrait<RowOp>())
    return "it is not a row op";
  if (auto expand = dyn_cast<ExpandGroupsOp>(op);
      expand && expand.getX().getDefiningOp() && !expand.getX().getDefiningOp<ConstantOp>())
    return "its numbers are computed in the same region";
  for (Type type : llvm::concat<const Type>(op->getOperandTypes(), op->getResultTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !tensor.hasStaticShape())
      return "it has an operand or result that is no tensor of static shape";
    if (!isNumberFormat(tensor.getElementType()) && !tensor.getElementType().isInteger(32))
      return "the CPU has no code for its element type";
    if (tensor.getNumElements() == 0)
      return "it has an empty tensor";
  }
  if (auto rope = dyn_cast<RopeOp>(op); rope && tensorOf(rope.getX()).getShape().back() % 2)
    return "its heads have an odd width";
  if (isa<SplitMasterOp>(op) && isRankZero(op->getOperand(0)))
    return "it cuts a single number";
  return {};
}

RowProgram::RowProgram(Region &region, unsigned lanes, bool mayFlatten)
    : block(region.front()), lanes(lanes) {
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
  return segmentOf(value);
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
      if (!isNoRow(use)) {
        noteRows(&op, use.get());
        if (auto argument = dyn_cast<BlockArgument>(use.get()))
          rowArguments.insert(argument.getArgNumber());
      } else if (isIndices(use.get()) && !isRankZero(use.get())) {
        noteRows(&op, use.get());
      }
    }
    for (Value result : op.getResults())
      if (!(isa<GateBackwardOp>(op) && result == op.getResult(1)) &&
          !isa<ConstantOp, GroupSumOp>(op) && !isTable(result))
        noteRows(&op, result);
    if (auto sum = dyn_cast<GroupSumOp>(op)) {
      int64_t count = tensorOf(sum.getResult()).getDimSize(0);
      if (groups && groups != count)
        refuse(&op, "sums over groups of different sizes in one region");
      groups = count;
    }
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
    if (!argument.use_empty() && !isNumberFormat(tensorOf(argument).getElementType()) &&
        !isIndices(argument))
      refuse(block.getTerminator(), "the CPU has no code for an element type");
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

RowReach RowProgram::getReach(unsigned argument) const {
  return reach.lookup(block.getArgument(argument));
}

bool RowProgram::isElementwiseIn(unsigned argument) const {
  return chunkwise && isReadElementwise(block.getArgument(argument));
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
  return memref::CollapseShapeOp::create(builder, loc, flat, memref,
                                         ArrayRef<ReassociationIndices>{all});
}

} // namespace smelt
