//===- LMVerifiers.cpp - Shape and attribute rules of lm ops --------------===//
#include "dialects/LM/LMOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::lm;

LogicalResult ParameterOp::verify() { return success(); }
LogicalResult ConstantOp::verify() { return success(); }
LogicalResult MatmulOp::verify() { return success(); }
LogicalResult EmbeddingOp::verify() { return success(); }
LogicalResult EmbeddingBackwardOp::verify() { return success(); }
LogicalResult AttentionRangeOp::verify() { return success(); }
LogicalResult AttentionOp::verify() { return success(); }
LogicalResult AttentionBackwardOp::verify() { return success(); }
LogicalResult MixOp::verify() { return success(); }
LogicalResult ScaleOp::verify() { return success(); }
LogicalResult RowScaleOp::verify() { return success(); }
LogicalResult RowDotOp::verify() { return success(); }
LogicalResult UnaryBackwardOp::verify() { return success(); }
LogicalResult CastOp::verify() { return success(); }
LogicalResult BroadcastOp::verify() { return success(); }
LogicalResult ReshapeOp::verify() { return success(); }
LogicalResult SplitOp::verify() { return success(); }
LogicalResult ConcatOp::verify() { return success(); }
LogicalResult RMSNormOp::verify() { return success(); }
LogicalResult RMSNormBackwardOp::verify() { return success(); }
LogicalResult RopeTableOp::verify() { return success(); }
LogicalResult RopeOp::verify() { return success(); }
LogicalResult TokenShiftOp::verify() { return success(); }
LogicalResult TokenShiftAdjointOp::verify() { return success(); }
LogicalResult TokenShiftDotOp::verify() { return success(); }
LogicalResult GateOp::verify() { return success(); }
LogicalResult GateBackwardOp::verify() { return success(); }
LogicalResult SoftcapOp::verify() { return success(); }
LogicalResult SoftcapBackwardOp::verify() { return success(); }
LogicalResult CrossEntropyOp::verify() { return success(); }
LogicalResult CrossEntropyBackwardOp::verify() { return success(); }
LogicalResult DotOp::verify() { return success(); }
LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &) { return success(); }

bool UnaryBackwardOp::supportsFromOutput(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::sigmoid:
  case UnaryKind::tanh:
  case UnaryKind::relu:
  case UnaryKind::relu_squared:
  case UnaryKind::exp:
  case UnaryKind::sqrt:
  case UnaryKind::reciprocal:
    return true;
  case UnaryKind::identity:
  case UnaryKind::negate:
  case UnaryKind::gelu:
  case UnaryKind::silu:
    return false;
  }
  return false;
}
