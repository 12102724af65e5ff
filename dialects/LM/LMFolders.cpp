//===- LMFolders.cpp - Folders and canonicalisations of lm ops ------------===//
//
// Everything here keeps the program's meaning in exact arithmetic; nothing changes how a result is
// rounded, but λ·x + λ₀·x → (λ + λ₀)·x.
//
//===----------------------------------------------------------------------===//
#include "dialects/LM/LMOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::lm;

/// A constant that has the float `number` in every element.
static bool isSplatOf(Attribute attribute, double number) {
  auto elements = dyn_cast_if_present<DenseFPElementsAttr>(attribute);
  return elements && elements.isSplat() && elements.getSplatValue<APFloat>().isExactlyValue(number);
}

static bool isSplatOf(Value value, double number) {
  Attribute attribute;
  return matchPattern(value, m_Constant(&attribute)) && isSplatOf(attribute, number);
}

//===- Constants --------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor adaptor) { return getValue(); }

bool ConstantOp::isBuildableWith(Attribute value, Type type) {
  auto elements = dyn_cast<DenseElementsAttr>(value);
  return elements && elements.getType() == type;
}

void ConstantOp::build(OpBuilder &builder, OperationState &state, RankedTensorType type,
                       double value) {
  auto elementType = cast<FloatType>(type.getElementType());
  build(builder, state, type,
        cast<ElementsAttr>(
            DenseElementsAttr::get(type, builder.getFloatAttr(elementType, value).getValue())));
}

//===- Element-wise -----------------------------------------------------------===//

/// x + 0 → x
OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getB(), 0.0))
    return getA();
  if (isSplatOf(adaptor.getA(), 0.0))
    return getB();
  return {};
}

/// x · 1 → x
OpFoldResult MultiplyOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getB(), 1.0))
    return getA();
  if (isSplatOf(adaptor.getA(), 1.0))
    return getB();
  return {};
}

/// x · 1 → x; 1 · s → s where both are scalars of one type (the seed of the backward pass).
OpFoldResult ScaleOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getS(), 1.0))
    return getX();
  if (getX().getType() == getS().getType() && isSplatOf(adaptor.getX(), 1.0))
    return getS();
  return {};
}

/// identity(x) → x; −(−x) → x
OpFoldResult UnaryOp::fold(FoldAdaptor adaptor) {
  if (getKind() == UnaryKind::identity)
    return getX();
  auto inner = getX().getDefiningOp<UnaryOp>();
  if (getKind() == UnaryKind::negate && inner && inner.getKind() == UnaryKind::negate)
    return inner.getX();
  return {};
}

/// True when every number of `from` is a number of `to`.
static bool isLossless(Type from, Type to) {
  if (from == to || to.isF64())
    return true;
  if (to.isF32())
    return !from.isF64();
  return (to.isBF16() || to.isF16()) && isa<Float8E4M3FNType, Float8E5M2Type>(from);
}

/// A cast to the same type, or back from a type that holds every number of it, is nothing.
OpFoldResult CastOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getResult().getType())
    return getX();
  auto inner = getX().getDefiningOp<CastOp>();
  if (inner && inner.getX().getType() == getResult().getType() &&
      isLossless(getElementTypeOrSelf(inner.getX()), getElementTypeOrSelf(inner.getResult())))
    return inner.getX();
  return {};
}

/// A broadcast splat is a splat.
OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  auto elements = dyn_cast_if_present<DenseFPElementsAttr>(adaptor.getX());
  if (elements && elements.isSplat())
    return elements.resizeSplat(cast<ShapedType>(getResult().getType()));
  return {};
}

//===- Shape ------------------------------------------------------------------===//

/// A reshape to the same shape is nothing; of two in a row only the last counts.
OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getResult().getType())
    return getX();
  auto inner = getX().getDefiningOp<ReshapeOp>();
  if (!inner)
    return {};
  if (inner.getX().getType() == getResult().getType())
    return inner.getX();
  getXMutable().assign(inner.getX());
  return getResult();
}

/// One part is the whole; all parts of one split in order are what was split.
OpFoldResult ConcatOp::fold(FoldAdaptor adaptor) {
  if (getParts().size() == 1)
    return getParts().front();
  auto split = getParts().front().getDefiningOp<SplitOp>();
  if (split && llvm::equal(split.getParts(), getParts()))
    return split.getX();
  return {};
}

namespace {

/// One part is the whole; a split along the seams of a concat gives the concat's parts.
struct SplitOfConcat : OpRewritePattern<SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SplitOp op, PatternRewriter &rewriter) const override {
    if (op.getParts().size() == 1) {
      rewriter.replaceOp(op, op.getX());
      return success();
    }
    auto concat = op.getX().getDefiningOp<ConcatOp>();
    if (!concat)
      return rewriter.notifyMatchFailure(op, "does not split a concat");
    if (!llvm::equal(concat.getParts().getTypes(), op.getParts().getTypes()))
      return rewriter.notifyMatchFailure(op, "splits between other seams");
    rewriter.replaceOp(op, concat.getParts());
    return success();
  }
};

//===- mix --------------------------------------------------------------------===//

/// λ·x + λ₀·x → (λ + λ₀)·x, and terms with the constant coefficient 0 vanish.
struct MergeTerms : OpRewritePattern<MixOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MixOp op, PatternRewriter &rewriter) const override {
    // A value may have one term per type of its coefficients.
    llvm::MapVector<std::pair<Value, Type>, SmallVector<Value>> terms;
    for (auto [value, coefficient] : llvm::zip_equal(op.getValues(), op.getCoefficients()))
      if (!isSplatOf(coefficient, 0.0))
        terms[{value, coefficient.getType()}].push_back(coefficient);
    if (terms.size() == op.getValues().size())
      return rewriter.notifyMatchFailure(
          op, "every value stands once, with a coefficient that is not 0");
    if (terms.empty()) {
      rewriter.replaceOpWithNewOp<ConstantOp>(op, cast<RankedTensorType>(op.getResult().getType()),
                                              0.0);
      return success();
    }
    SmallVector<Value> values, coefficients;
    for (auto &[key, parts] : terms) {
      Value sum = parts.front();
      for (Value part : ArrayRef(parts).drop_front())
        sum = AddOp::create(rewriter, op.getLoc(), sum, part);
      values.push_back(key.first);
      coefficients.push_back(sum);
    }
    rewriter.replaceOpWithNewOp<MixOp>(op, op.getResult().getType(), values, coefficients);
    return success();
  }
};

/// One term is a scale; two terms with the constant coefficients 1 are a sum.
struct SimplifyMix : OpRewritePattern<MixOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MixOp op, PatternRewriter &rewriter) const override {
    if (op.getValues().size() == 1) {
      rewriter.replaceOpWithNewOp<ScaleOp>(op, op.getResult().getType(), op.getValues()[0],
                                           op.getCoefficients()[0]);
      return success();
    }
    if (op.getValues().size() == 2 &&
        llvm::all_of(op.getCoefficients(), [](Value c) { return isSplatOf(c, 1.0); })) {
      rewriter.replaceOpWithNewOp<AddOp>(op, op.getValues()[0], op.getValues()[1]);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "has several terms with coefficients of their own");
  }
};

} // namespace

void MixOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeTerms, SimplifyMix>(context);
}
void SplitOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<SplitOfConcat>(context);
}
