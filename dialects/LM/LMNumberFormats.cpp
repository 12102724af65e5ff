//===- LMNumberFormats.cpp - Rules and gradients of f8 ops ----------------===//
#include "dialects/LM/LMOps.h"
#include "dialects/LM/NumberFormats.h"
#include "dialects/LM/ShapeRules.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lm;

using Gradients = FailureOr<SmallVector<Value>>;

static LogicalResult verifyScale(Operation *op, StringRef name, double scale) {
  if (scale > 0 && std::isfinite(scale))
    return success();
  return op->emitOpError("needs a positive, finite ") << name;
}

LogicalResult QuantizeOp::verify() {
  return verifyScale(*this, "scale", getScale().convertToDouble());
}

LogicalResult QuantizedMatmulOp::verify() {
  RankedTensorType x = getTensorType(getX()), w = getTensorType(getW());
  if (x.getRank() != 2 || w.getRank() != 2)
    return emitOpError("multiplies matrices, not ") << x << " and " << w;
  if (x.getDimSize(1) != w.getDimSize(1))
    return emitOpError("has inner sizes ") << x.getDimSize(1) << " and " << w.getDimSize(1);
  if (failed(verifyScale(*this, "x_scale", getXScale().convertToDouble())) ||
      failed(verifyScale(*this, "w_scale", getWScale().convertToDouble())) ||
      failed(verifyScale(*this, "gradient_scale", getGradientScale().convertToDouble())))
    return failure();
  return verifyShape(*this, "result", getTensorType(getResult()),
                     {x.getDimSize(0), w.getDimSize(0)});
}

Gradients QuantizeOp::buildGradients(OpBuilder &, ValueRange, ArrayRef<bool>) {
  return emitOpError("rounds to f8 and has no gradient; lm.quantized_matmul has one");
}

Value mlir::lm::buildQuantize(OpBuilder &builder, Location loc, Value x, Type elementType,
                              double scale) {
  Type type = RankedTensorType::get(getTensorType(x).getShape(), elementType);
  return QuantizeOp::create(builder, loc, type, x, builder.getF64FloatAttr(scale));
}

Value mlir::lm::buildQuantizedProduct(OpBuilder &builder, Location loc, Type type, Value a, Value b,
                                      bool transposeA, bool transposeB, double scale) {
  auto result = cast<RankedTensorType>(type);
  auto sums = RankedTensorType::get(result.getShape(), builder.getF32Type());
  Value product = MatmulOp::create(builder, loc, sums, a, b, transposeA, transposeB);
  Value factor =
      ConstantOp::create(builder, loc, RankedTensorType::get({}, builder.getF32Type()), scale);
  Value scaled = ScaleOp::create(builder, loc, sums, product, factor);
  return result == sums ? scaled : Value(CastOp::create(builder, loc, result, scaled));
}

/// The quantised operands are built again; common subexpressions of forward and backward meet when
/// the forward op is expanded (smelt-expand-quantized-matmul).
Gradients QuantizedMatmulOp::buildGradients(OpBuilder &builder, ValueRange dresults,
                                            ArrayRef<bool> needed) {
  Location loc = getLoc();
  double xScale = getXScale().convertToDouble(), wScale = getWScale().convertToDouble(),
         gradientScale = getGradientScale().convertToDouble();
  Type e4m3 = Float8E4M3FNType::get(getContext()), e5m2 = Float8E5M2Type::get(getContext());
  Value dy = buildQuantize(builder, loc, dresults[0], e5m2, gradientScale);
  SmallVector<Value> gradients(2);
  if (needed[0]) {
    Value w = buildQuantize(builder, loc, getW(), e4m3, wScale);
    gradients[0] = buildQuantizedProduct(builder, loc, getX().getType(), dy, w, false, false,
                                         gradientScale * wScale);
  }
  if (needed[1]) {
    Value x = buildQuantize(builder, loc, getX(), e4m3, xScale);
    gradients[1] = buildQuantizedProduct(builder, loc, getW().getType(), dy, x, true, false,
                                         gradientScale * xScale);
  }
  return gradients;
}
