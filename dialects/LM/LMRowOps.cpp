//===- LMRowOps.cpp - What row ops are to those who emit them -------------===//
#include "dialects/LM/LMOps.h"

using namespace mlir;
using namespace mlir::lm;

bool mlir::lm::isRowReduction(Operation *op) {
  return isa<RMSNormOp, RMSNormBackwardOp, RowDotOp, TokenShiftDotOp, GateOp, GateBackwardOp,
             CrossEntropyOp>(op);
}
