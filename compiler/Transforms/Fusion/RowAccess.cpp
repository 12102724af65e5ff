//===- RowAccess.cpp - Which rows a region reads --------------------------===//
#include "compiler/Transforms/Fusion/RowAccess.h"

using namespace mlir;
using namespace smelt;

static bool isScalar(Value value) { return cast<RankedTensorType>(value.getType()).getRank() == 0; }

RowAccess smelt::getRowAccess(OpOperand &use) {
  Operation *op = use.getOwner();
  unsigned index = use.getOperandNumber();
  if (isScalar(use.get()))
    return RowAccess::Scalar;
  if (isa<lm::EmbeddingOp>(op) && index == 0)
    return RowAccess::WholeTensor;
  if (isa<lm::GateOp, lm::GateBackwardOp, lm::RopeOp>(op) && index == 1)
    return RowAccess::WholeTensor;
  if (isa<lm::ExpandGroupsOp>(op)) // Row t div R: the same for many rows.
    return RowAccess::WholeTensor;
  // The adjoint also wants the gate and the document of the later row.
  if (isa<lm::TokenShiftAdjointOp>(op))
    return RowAccess::NeighbourRow;
  if (isa<lm::TokenShiftOp, lm::TokenShiftDotOp>(op) && index == 0)
    return RowAccess::NeighbourRow;
  return RowAccess::SameRow;
}

static RowAccess getAccessOf(Value value) {
  RowAccess access = RowAccess::None;
  for (OpOperand &use : value.getUses()) {
    Operation *op = use.getOwner();
    RowAccess here = isa<kernel::YieldOp>(op)
                         ? (isScalar(value) ? RowAccess::Scalar : RowAccess::SameRow)
                         : getRowAccess(use);
    access = std::max(access, here);
    if (here == RowAccess::Scalar || here == RowAccess::WholeTensor)
      continue;
    for (Value result : op->getResults())
      if (!isRowTotal(result))
        access = std::max(access, getAccessOf(result));
  }
  return access;
}

RowAccess smelt::getRowAccess(BlockArgument argument) { return getAccessOf(argument); }

bool smelt::isRowTotal(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<lm::SumOp, lm::DotOp, lm::CountOp, lm::GroupSumOp>(op))
    return true;
  auto backward = dyn_cast_or_null<lm::GateBackwardOp>(op);
  return backward && value == backward.getDw();
}

bool smelt::isLate(Value value) {
  if (isRowTotal(value))
    return true;
  Operation *op = value.getDefiningOp();
  return op && isScalar(value) && llvm::any_of(op->getOperands(), isLate);
}

bool smelt::isReadByScalarsOnly(Value value) {
  return isScalar(value) && llvm::all_of(value.getUses(), [](OpOperand &use) {
           Operation *op = use.getOwner();
           return isa<kernel::YieldOp>(op) || (llvm::all_of(op->getResults(), isScalar) &&
                                               llvm::all_of(op->getOperands(), isScalar) &&
                                               llvm::all_of(op->getResults(), isReadByScalarsOnly));
         });
}

std::optional<int64_t> smelt::getRows(Region &region) {
  std::optional<int64_t> rows;
  auto note = [&](Value value) {
    if (isScalar(value))
      return;
    int64_t size = cast<RankedTensorType>(value.getType()).getDimSize(0);
    rows = rows && *rows != size ? -1 : size;
  };
  for (Operation &op : region.front()) {
    for (OpOperand &use : op.getOpOperands())
      if (isa<kernel::YieldOp>(op) ? !isRowTotal(use.get())
                                   : getRowAccess(use) != RowAccess::WholeTensor)
        note(use.get());
    if (!isa<lm::ConstantOp>(op))
      for (Value result : op.getResults())
        if (!isRowTotal(result))
          note(result);
  }
  return rows;
}
