//===- LMFolders.cpp - Folders and canonicalisations of lm ops ------------===//
#include "dialects/LM/LMOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::lm;

OpFoldResult ConstantOp::fold(FoldAdaptor adaptor) { return getValue(); }
OpFoldResult AddOp::fold(FoldAdaptor adaptor) { return {}; }
OpFoldResult UnaryOp::fold(FoldAdaptor adaptor) { return {}; }
OpFoldResult CastOp::fold(FoldAdaptor adaptor) { return {}; }
OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) { return {}; }
void MixOp::getCanonicalizationPatterns(RewritePatternSet &, MLIRContext *) {}
void SplitOp::getCanonicalizationPatterns(RewritePatternSet &, MLIRContext *) {}

bool ConstantOp::isBuildableWith(Attribute value, Type type) {
  auto elements = dyn_cast<ElementsAttr>(value);
  return elements && elements.getType() == type;
}

void ConstantOp::build(OpBuilder &builder, OperationState &state, RankedTensorType type, double value) {
  auto elementType = cast<FloatType>(type.getElementType());
  build(builder, state, type, cast<ElementsAttr>(DenseElementsAttr::get(type, builder.getFloatAttr(elementType, value).getValue())));
}
