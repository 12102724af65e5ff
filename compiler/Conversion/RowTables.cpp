//===- RowTables.cpp - Operands of row ops that are looked up -------------===//
#include "compiler/Conversion/RowTables.h"

using namespace mlir;
using namespace mlir::lm;

static int64_t getRank(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }

bool smelt::isUniformOperand(OpOperand &use) {
  Operation *op = use.getOwner();
  if (getRank(use.get()) == 0)
    return true;
  if (isa<EmbeddingOp, ExpandGroupsOp>(op))
    return use.getOperandNumber() == 0;
  return isa<GateOp, GateBackwardOp, RopeOp>(op) && use.getOperandNumber() == 1;
}

bool smelt::isTable(Value value) {
  return !value.use_empty() && llvm::all_of(value.getUses(), [](OpOperand &use) {
    if (auto cast = dyn_cast<CastOp>(use.getOwner()))
      return isTable(cast.getResult());
    return getRank(use.get()) > 0 && isUniformOperand(use);
  });
}

Value smelt::getTableSource(Value table) {
  while (auto cast = table.getDefiningOp<CastOp>())
    table = cast.getX();
  return table;
}
