//===- LMGradients.cpp - Gradients of lm ops ------------------------------===//
//
// One `buildGradients` per differentiable op. Each builds lm ops (never kernel ops) from the
// operands and, where that saves a buffer, the results of the forward op. Notation in the comments:
// dX is the gradient of the objective with respect to X.
//
//===----------------------------------------------------------------------===//
#include "dialects/LM/LMOps.h"

using namespace mlir;
using namespace mlir::lm;

using Gradients = FailureOr<SmallVector<Value>>;

/// The 1.0 of type `type`.
static Value buildOnes(OpBuilder &builder, Location loc, Type type) {
  return ConstantOp::create(builder, loc, cast<RankedTensorType>(type), 1.0);
}

static RankedTensorType getScalarType(Value like) {
  return RankedTensorType::get({}, cast<RankedTensorType>(like.getType()).getElementType());
}

//===- Leaves: no operands --------------------------------------------------===//

Gradients ReadOp::buildGradients(OpBuilder &, ValueRange, ArrayRef<bool>) {
  return SmallVector<Value>();
}
Gradients SettingOp::buildGradients(OpBuilder &, ValueRange, ArrayRef<bool>) {
  return SmallVector<Value>();
}
Gradients ConstantOp::buildGradients(OpBuilder &, ValueRange, ArrayRef<bool>) {
  return SmallVector<Value>();
}

//===- Contractions, embedding, attention -----------------------------------===//

/// C = op(A)·op(B) gives d op(A) = dC·op(B)ᵀ and d op(B) = op(A)ᵀ·dC; an operand that is stored
/// transposed takes the transposed product. Groups are products of their own, each with its gradients.
Gradients MatmulOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  Location loc = getLoc();
  Value dc = dresults[0];
  if (isa<Float8E4M3FNType, Float8E5M2Type>(getElementTypeOrSelf(getA())))
    return emitOpError("of f8 operands has no gradient; lm.quantized_matmul has one");
  SmallVector<Value> gradients(2);
  auto multiply = [&](Type type, Value left, Value right, bool transposeLeft,
                      bool transposeRight) -> Value {
    return MatmulOp::create(builder, loc, type, left, right, transposeLeft, transposeRight,
                            getGroups());
  };
  if (needed[0])
    gradients[0] = getTransposeA()
                       ? multiply(getA().getType(), getB(), dc, getTransposeB(), true)
                       : multiply(getA().getType(), dc, getB(), false, !getTransposeB());
  if (needed[1])
    gradients[1] = getTransposeB()
                       ? multiply(getB().getType(), dc, getA(), true, getTransposeA())
                       : multiply(getB().getType(), getA(), dc, !getTransposeA(), false);
  return gradients;
}

Gradients EmbeddingOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                      ArrayRef<bool> needed) {
  SmallVector<Value> gradients(2);
  if (needed[0])
    gradients[0] = EmbeddingBackwardOp::create(builder, getLoc(), getTable().getType(), getTokens(),
                                               dresults[0]);
  return gradients;
}

/// The scores are scale·(q·k), so Σ q·dq = scale·dscale: the gradient of a learned scale costs one
/// dot.
Gradients AttentionOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                      ArrayRef<bool> needed) {
  if (dresults[1])
    return emitOpError("has no gradient for its lse result");
  Location loc = getLoc();
  auto backward = AttentionBackwardOp::create(builder, loc, getQ().getType(), getK().getType(),
                                              getV().getType(), getQ(), getK(), getV(), getFirst(),
                                              getScale(), getResult(), getLse(), dresults[0]);
  SmallVector<Value> gradients{backward.getDq(), backward.getDk(), backward.getDv(), Value(),
                               Value()};
  for (auto [gradient, isNeeded] : llvm::zip_equal(gradients, needed))
    if (!isNeeded)
      gradient = Value();
  if (needed[4]) {
    Value dot = DotOp::create(builder, loc, getScale().getType(), getQ(), backward.getDq());
    Value inverse = UnaryOp::create(builder, loc, UnaryKind::reciprocal, getScale());
    gradients[4] = MultiplyOp::create(builder, loc, dot, inverse);
  }
  return gradients;
}

//===- Element-wise ---------------------------------------------------------===//

Gradients AddOp::buildGradients(OpBuilder &, ValueRange dresults, ArrayRef<bool> needed) {
  return SmallVector<Value>{needed[0] ? dresults[0] : Value(), needed[1] ? dresults[0] : Value()};
}

Gradients MultiplyOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                     ArrayRef<bool> needed) {
  SmallVector<Value> gradients(2);
  if (needed[0])
    gradients[0] = MultiplyOp::create(builder, getLoc(), dresults[0], getB());
  if (needed[1])
    gradients[1] = MultiplyOp::create(builder, getLoc(), dresults[0], getA());
  return gradients;
}

Gradients MixOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  size_t count = getValues().size();
  SmallVector<Value> gradients(2 * count);
  for (size_t i = 0; i < count; ++i) {
    Value value = getValues()[i], coefficient = getCoefficients()[i];
    if (needed[i])
      gradients[i] = ScaleOp::create(builder, getLoc(), value.getType(), dresults[0], coefficient);
    if (needed[count + i])
      gradients[count + i] =
          DotOp::create(builder, getLoc(), coefficient.getType(), value, dresults[0]);
  }
  return gradients;
}

Gradients ScaleOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  SmallVector<Value> gradients(2);
  if (needed[0])
    gradients[0] = ScaleOp::create(builder, getLoc(), getX().getType(), dresults[0], getS());
  if (needed[1])
    gradients[1] = DotOp::create(builder, getLoc(), getS().getType(), getX(), dresults[0]);
  return gradients;
}

Gradients RowScaleOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                     ArrayRef<bool> needed) {
  SmallVector<Value> gradients(2);
  if (needed[0])
    gradients[0] = RowScaleOp::create(builder, getLoc(), getX().getType(), dresults[0], getG());
  if (needed[1])
    gradients[1] = RowDotOp::create(builder, getLoc(), getG().getType(), getX(), dresults[0]);
  return gradients;
}

/// Where f' is a function of f's result, the result is used: relu² then keeps one buffer (the one
/// that the next matmul's weight gradient needs anyway) instead of two.
Gradients UnaryOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  switch (getKind()) {
  case UnaryKind::identity:
    return SmallVector<Value>{dresults[0]};
  case UnaryKind::negate:
    return SmallVector<Value>{UnaryOp::create(builder, getLoc(), UnaryKind::negate, dresults[0])};
  case UnaryKind::step:
    return SmallVector<Value>{
        ConstantOp::create(builder, getLoc(), cast<RankedTensorType>(getX().getType()), 0.0)};
  default:
    break;
  }
  bool fromOutput = UnaryBackwardOp::supportsFromOutput(getKind());
  return SmallVector<Value>{UnaryBackwardOp::create(builder, getLoc(), getX().getType(), getKind(),
                                                    fromOutput ? Value(getResult()) : Value(getX()),
                                                    dresults[0], fromOutput)};
}

Gradients CastOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  return SmallVector<Value>{CastOp::create(builder, getLoc(), getX().getType(), dresults[0])};
}

Gradients BroadcastOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                      ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  Value dy = dresults[0];
  auto type = cast<RankedTensorType>(getX().getType());
  if (type.getRank() == 0)
    return SmallVector<Value>{SumOp::create(builder, getLoc(), type, dy)};
  Value ones = buildOnes(builder, getLoc(), dy.getType());
  return SmallVector<Value>{RowDotOp::create(builder, getLoc(), type, dy, ones)};
}

//===- Shape ----------------------------------------------------------------===//

Gradients ReshapeOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                    ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  return SmallVector<Value>{ReshapeOp::create(builder, getLoc(), getX().getType(), dresults[0])};
}

Gradients SplitOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  SmallVector<Value> parts;
  for (auto [part, gradient] : llvm::zip_equal(getParts(), dresults))
    parts.push_back(gradient
                        ? gradient
                        : Value(ConstantOp::create(builder, getLoc(),
                                                   cast<RankedTensorType>(part.getType()), 0.0)));
  return SmallVector<Value>{ConcatOp::create(builder, getLoc(), getX().getType(), parts)};
}

Gradients ConcatOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  auto split = SplitOp::create(builder, getLoc(), getParts().getTypes(), dresults[0]);
  SmallVector<Value> gradients(split.getParts());
  for (auto [gradient, isNeeded] : llvm::zip_equal(gradients, needed))
    if (!isNeeded)
      gradient = Value();
  return gradients;
}

//===- Norm, rotary embedding, token shift, gate ------------------------------===//

Gradients RMSNormOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                    ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  return SmallVector<Value>{RMSNormBackwardOp::create(builder, getLoc(), getX().getType(), getX(),
                                                      dresults[0], getEpsAttr())};
}

/// A rotation's transpose is its inverse.
Gradients RopeOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  if (needed[1])
    return emitOpError("has no gradient for its table");
  SmallVector<Value> gradients(getNumOperands());
  if (needed[0])
    gradients[0] = RopeOp::create(builder, getLoc(), getX().getType(), dresults[0], getTable(),
                                  getDocumentStart(), !getInverse());
  return gradients;
}

/// With p[t] = token_shift_dot (the gradient of the whole coefficient c = scale·gate): dgate =
/// scale·p, dscale = Σ gate·p.
Gradients TokenShiftOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                       ArrayRef<bool> needed) {
  Location loc = getLoc();
  Value dy = dresults[0];
  SmallVector<Value> gradients(getNumOperands());
  if (needed[0])
    gradients[0] = TokenShiftAdjointOp::create(
        builder, loc, getX().getType(), dy, getScale(), getGate(), getDocumentStart(), getMode(),
        getFeatures(), getHeads(), getDistance(), getDocuments());
  unsigned scaleIndex = 1, gateIndex = 1 + bool(getScale());
  bool needsScale = getScale() && needed[scaleIndex], needsGate = getGate() && needed[gateIndex];
  if (!needsScale && !needsGate)
    return gradients;
  auto type = getGate()
                  ? cast<RankedTensorType>(getGate().getType())
                  : RankedTensorType::get({cast<RankedTensorType>(getX().getType()).getDimSize(0)},
                                          getScalarType(getScale()).getElementType());
  Value p = TokenShiftDotOp::create(builder, loc, type, getX(), dy, getDocumentStart(), getMode(),
                                    getFeatures(), getHeads(), getDistance(), getDocuments());
  if (needsScale)
    gradients[scaleIndex] =
        getGate() ? Value(DotOp::create(builder, loc, getScale().getType(), getGate(), p))
                  : Value(SumOp::create(builder, loc, getScale().getType(), p));
  if (needsGate)
    gradients[gateIndex] =
        getScale() ? Value(ScaleOp::create(builder, loc, type, p, getScale())) : p;
  return gradients;
}

Gradients GateOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  auto backward = GateBackwardOp::create(builder, getLoc(), getX().getType(), getW().getType(),
                                         getX(), getW(), getResult(), dresults[0]);
  return SmallVector<Value>{needed[0] ? Value(backward.getDx()) : Value(),
                            needed[1] ? Value(backward.getDw()) : Value()};
}

//===- Loss and reductions ----------------------------------------------------===//

Gradients SoftcapOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                    ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  return SmallVector<Value>{SoftcapBackwardOp::create(builder, getLoc(), getX().getType(),
                                                      getKind(), getX(), dresults[0],
                                                      getAmplitude(), getTemperature())};
}

Gradients CrossEntropyOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                         ArrayRef<bool> needed) {
  if (dresults[1])
    return emitOpError("has no gradient for its lse result");
  SmallVector<Value> gradients(2);
  if (needed[0])
    gradients[0] = CrossEntropyBackwardOp::create(builder, getLoc(), getLogits().getType(),
                                                  getLogits(), getTargets(), getLse(), dresults[0]);
  return gradients;
}

Gradients SumOp::buildGradients(OpBuilder &builder, ValueRange dresults, ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  auto type = cast<RankedTensorType>(getX().getType());
  auto scalar = RankedTensorType::get({}, type.getElementType());
  Value dy = dresults[0];
  if (dy.getType() != scalar)
    dy = CastOp::create(builder, getLoc(), scalar, dy);
  return SmallVector<Value>{BroadcastOp::create(builder, getLoc(), type, dy)};
}

//===- Groups of rows -------------------------------------------------------===//

Gradients GroupSumOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                     ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  return SmallVector<Value>{
      ExpandGroupsOp::create(builder, getLoc(), getX().getType(), dresults[0])};
}

Gradients ExpandGroupsOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                         ArrayRef<bool> needed) {
  if (!needed[0])
    return SmallVector<Value>(1);
  return SmallVector<Value>{GroupSumOp::create(builder, getLoc(), getX().getType(), dresults[0])};
}
