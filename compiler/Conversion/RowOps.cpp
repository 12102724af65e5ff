//===- RowOps.cpp - Shapes and places of row ops --------------------------===//
#include "compiler/Conversion/RowOps.h"
#include "compiler/Conversion/RowTables.h"

using namespace mlir;
using namespace mlir::lm;

RankedTensorType smelt::tensorOf(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

bool smelt::isRankZero(Value value) { return tensorOf(value).getRank() == 0; }

bool smelt::isIndices(Value value) { return tensorOf(value).getElementType().isInteger(32); }

int64_t smelt::featuresOf(RankedTensorType type) {
  int64_t features = 1;
  for (int64_t i = 1; i < type.getRank(); ++i)
    features *= type.getDimSize(i);
  return features;
}

int64_t smelt::segmentOf(Value value) {
  return tensorOf(value).getRank() < 2 ? 1 : tensorOf(value).getShape().back();
}

static bool isElementwise(Operation *op) {
  return isa<AddOp, MultiplyOp, MixOp, ScaleOp, UnaryOp, UnaryBackwardOp, CastOp, SoftcapOp,
             SoftcapBackwardOp, AtLeastOp, QuantizeOp, JoinMasterOp>(op);
}

bool smelt::isFlattenable(Operation *op) {
  return isElementwise(op) || isa<SumOp, DotOp, SplitMasterOp>(op) ||
         (isa<ConstantOp>(op) && cast<ConstantOp>(op).getValue().isSplat()) ||
         (isa<BroadcastOp>(op) && isRankZero(op->getOperand(0)));
}

bool smelt::isReadElementwise(BlockArgument argument) {
  SmallVector<Value> work{argument};
  llvm::DenseSet<Value> seen;
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    for (OpOperand &use : value.getUses()) {
      Operation *op = use.getOwner();
      if (op->hasTrait<OpTrait::IsTerminator>())
        continue;
      bool keepsPlaces =
          isElementwise(op) || isa<ReshapeOp>(op) ||
          (isa<RowScaleOp, CrossEntropyBackwardOp>(op) && use.getOperandNumber() == 0);
      if (!keepsPlaces || isUniformOperand(use) || isIndices(value) || isTable(value))
        return false;
      work.push_back(op->getResult(0));
    }
  }
  return true;
}
