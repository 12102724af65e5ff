//===- LMGradients.cpp - Gradients of lm ops ------------------------------===//
#include "dialects/LM/LMOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::lm;

SmallVector<Value> ReadOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> SettingOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> ConstantOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> MatmulOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> EmbeddingOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> AttentionOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> AddOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> MultiplyOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> MixOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> ScaleOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> RowScaleOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> UnaryOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> CastOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> BroadcastOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> ReshapeOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> SplitOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> ConcatOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> RMSNormOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> RopeOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> TokenShiftOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> GateOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> SoftcapOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> CrossEntropyOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
SmallVector<Value> SumOp::buildGradients(OpBuilder &builder, ValueRange resultGradients) { return SmallVector<Value>((*this)->getNumOperands()); }
