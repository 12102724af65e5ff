//===- RowElementwise.cpp - Ops of one element at a time ------------------===//
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

// Products may be fused into sums; nothing else is licensed, so NaN and infinities stay.
static constexpr auto kContract = arith::FastMathFlags::contract;

Type RowEmitter::typeOf(const FeatureChunk &chunk) {
  return chunk.isScalar() ? Type(b.getF32Type()) : Type(VectorType::get({lanes}, b.getF32Type()));
}
Value RowEmitter::splat(Value scalar, const FeatureChunk &chunk) {
  return chunk.isScalar() ? scalar
                          : vector::BroadcastOp::create(b, loc, typeOf(chunk), scalar).getResult();
}
Value RowEmitter::number(double value, Type type) {
  auto element = b.getF32FloatAttr(value);
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vector, element.getValue()));
  return arith::ConstantOp::create(b, loc, element);
}
Value RowEmitter::number(double value, const FeatureChunk &chunk) {
  return number(value, typeOf(chunk));
}
Value RowEmitter::index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
Value RowEmitter::integer(int64_t value) {
  return arith::ConstantIntOp::create(b, loc, b.getI32Type(), value);
}
Value RowEmitter::add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y, kContract); }
Value RowEmitter::sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y, kContract); }
Value RowEmitter::mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y, kContract); }
Value RowEmitter::div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y, kContract); }
Value RowEmitter::neg(Value x) { return arith::NegFOp::create(b, loc, x, kContract); }
Value RowEmitter::exp(Value x) { return math::ExpOp::create(b, loc, x); }
Value RowEmitter::sigmoid(Value x) {
  Value one = number(1, x.getType());
  return div(one, add(one, exp(neg(x))));
}
Value RowEmitter::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, loc, condition, x, y);
}
/// One instruction; gives y if x is NaN.
Value RowEmitter::larger(Value x, Value y) {
  return select(arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y), x, y);
}
Value RowEmitter::laneMask(const FeatureChunk &chunk) {
  SmallVector<bool> bits(lanes, false);
  std::fill_n(bits.begin(), chunk.lanes, true);
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(VectorType::get({lanes}, b.getI1Type()), bits));
}

/// max(x, 0) that keeps NaN.
static Value clampAtZero(OpBuilder &b, Location loc, Value x, Value zero) {
  return arith::SelectOp::create(
      b, loc, arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, zero), zero, x);
}

/// The normal distribution function Φ(x) = (1 + erf(x/√2))/2 by formula 7.1.26 of Abramowitz and
/// Stegun, error below 1e-7.
static Value emitNormalDistribution(OpBuilder &b, Location loc, Value x,
                                    llvm::function_ref<Value(double)> number) {
  auto add = [&](Value p, Value q) -> Value {
    return arith::AddFOp::create(b, loc, p, q, kContract);
  };
  auto mul = [&](Value p, Value q) -> Value {
    return arith::MulFOp::create(b, loc, p, q, kContract);
  };
  Value z = mul(math::AbsFOp::create(b, loc, x), number(0.70710678118654752));
  Value t = arith::DivFOp::create(b, loc, number(1), add(number(1), mul(number(0.3275911), z)),
                                  kContract);
  Value poly = number(1.061405429);
  for (double c : {-1.453152027, 1.421413741, -0.284496736, 0.254829592})
    poly = add(mul(poly, t), number(c));
  Value tail = mul(mul(number(0.5), mul(poly, t)),
                   math::ExpOp::create(b, loc, mul(z, arith::NegFOp::create(b, loc, z))));
  Value positive = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, x, number(0));
  return arith::SelectOp::create(b, loc, positive,
                                 arith::SubFOp::create(b, loc, number(1), tail, kContract), tail);
}

Value RowEmitter::computeUnary(UnaryKind kind, Value x) {
  auto one = [&] { return number(1, x.getType()); };
  auto zero = [&] { return number(0, x.getType()); };
  switch (kind) {
  case UnaryKind::identity:
    return x;
  case UnaryKind::negate:
    return neg(x);
  case UnaryKind::sigmoid:
    return sigmoid(x);
  case UnaryKind::tanh:
    return math::TanhOp::create(b, loc, x);
  case UnaryKind::relu:
    return clampAtZero(b, loc, x, zero());
  case UnaryKind::relu_squared: {
    Value y = clampAtZero(b, loc, x, zero());
    return mul(y, y);
  }
  case UnaryKind::gelu:
    return mul(x,
               emitNormalDistribution(b, loc, x, [&](double v) { return number(v, x.getType()); }));
  case UnaryKind::silu:
    return mul(x, sigmoid(x));
  case UnaryKind::exp:
    return exp(x);
  case UnaryKind::sqrt:
    return math::SqrtOp::create(b, loc, x);
  case UnaryKind::reciprocal:
    return div(one(), x);
  case UnaryKind::step:
    return select(arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, x, zero()), one(),
                  zero());
  }
  llvm_unreachable("unknown unary kind");
}

Value RowEmitter::computeUnaryBackward(UnaryBackwardOp op, Value x, Value dy) {
  bool fromOutput = op.getFromOutput();
  Type type = x.getType();
  Value one = number(1, type), zero = number(0, type);
  auto positive = [&] {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, zero).getResult();
  };
  auto output = [&] { return fromOutput ? x : computeUnary(op.getKind(), x); };
  switch (op.getKind()) {
  case UnaryKind::identity:
    return dy;
  case UnaryKind::negate:
    return neg(dy);
  case UnaryKind::sigmoid: {
    Value y = output();
    return mul(dy, mul(y, sub(one, y)));
  }
  case UnaryKind::tanh: {
    Value y = output();
    return mul(dy, sub(one, mul(y, y)));
  }
  case UnaryKind::relu:
    return select(positive(), dy, zero);
  case UnaryKind::relu_squared: {
    Value root =
        fromOutput ? math::SqrtOp::create(b, loc, x).getResult() : clampAtZero(b, loc, x, zero);
    return mul(dy, add(root, root));
  }
  case UnaryKind::gelu: { // Φ(x) + x·φ(x)
    Value cdf = emitNormalDistribution(b, loc, x, [&](double v) { return number(v, type); });
    Value pdf = mul(number(0.39894228040143268, type), exp(mul(number(-0.5, type), mul(x, x))));
    return mul(dy, add(cdf, mul(x, pdf)));
  }
  case UnaryKind::silu: { // s·(1 + x·(1 − s))
    Value s = sigmoid(x);
    return mul(dy, mul(s, add(one, mul(x, sub(one, s)))));
  }
  case UnaryKind::exp:
    return mul(dy, output());
  case UnaryKind::sqrt:
    return div(mul(number(0.5, type), dy), output());
  case UnaryKind::reciprocal: {
    Value y = output();
    return neg(mul(dy, mul(y, y)));
  }
  case UnaryKind::step:
    return zero;
  }
  llvm_unreachable("unknown unary kind");
}

Value RowEmitter::computeElementwise(Operation *op, Value row, const FeatureChunk &chunk) {
  auto pull = [&](Value operand) { return get(operand, row, chunk); };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<AddOp>([&](AddOp x) { return add(pull(x.getA()), pull(x.getB())); })
      .Case<MultiplyOp>([&](MultiplyOp x) { return mul(pull(x.getA()), pull(x.getB())); })
      .Case<MixOp>([&](MixOp mix) {
        Value sum;
        for (auto [value, coefficient] : llvm::zip(mix.getValues(), mix.getCoefficients())) {
          Value term = mul(pull(value), pull(coefficient));
          sum = sum ? add(sum, term) : term;
        }
        return sum;
      })
      .Case<ScaleOp>([&](ScaleOp x) { return mul(pull(x.getX()), pull(x.getS())); })
      .Case<UnaryOp>([&](UnaryOp x) { return computeUnary(x.getKind(), pull(x.getX())); })
      .Case<AtLeastOp>([&](AtLeastOp x) {
        Value value = pull(x.getX());
        return larger(value, number(x.getBound().convertToDouble(), value.getType()));
      })
      .Case<UnaryBackwardOp>([&](UnaryBackwardOp x) {
        return computeUnaryBackward(x, pull(x.getX()), pull(x.getDy()));
      })
      .Case<SoftcapOp>([&](SoftcapOp x) { return computeSoftcap(op, pull(x.getX()), {}); })
      .Case<SoftcapBackwardOp>(
          [&](SoftcapBackwardOp x) { return computeSoftcap(op, pull(x.getX()), pull(x.getDy())); })
      .Case<CastOp>([&](CastOp x) { return pull(x.getX()); }) // Rounded by its result's type.
      .Case<QuantizeOp>([&](QuantizeOp x) {
        // No contraction: the product itself is rounded (see lm.quantize).
        Value factor = number(1 / x.getScale().convertToDouble(), chunk);
        return arith::MulFOp::create(b, loc, pull(x.getX()), factor).getResult();
      })
      .Case<JoinMasterOp>(
          [&](JoinMasterOp x) { return joinMaster(b, loc, pull(x.getHigh()), pull(x.getLow())); })
      .Case<RowScaleOp>(
          [&](RowScaleOp x) { return mul(pull(x.getX()), pull(x.getG())); }) // Rank 0 only.
      .Default([&](Operation *) -> Value { llvm_unreachable("a row op without code"); });
}

Value RowEmitter::computeSoftcap(Operation *op, Value x, Value dy) {
  Type type = x.getType();
  double amplitude = op->getAttrOfType<FloatAttr>("amplitude").getValueAsDouble();
  double temperature = op->getAttrOfType<FloatAttr>("temperature").getValueAsDouble();
  Value a = number(amplitude, type), one = number(1, type);
  switch (op->getAttrOfType<SoftcapKindAttr>("kind").getValue()) {
  case SoftcapKind::tanh: {
    Value y = math::TanhOp::create(b, loc, mul(x, number(1 / temperature, type)));
    return dy ? mul(mul(dy, number(amplitude / temperature, type)), sub(one, mul(y, y)))
              : mul(a, y);
  }
  case SoftcapKind::sigmoid: {
    Value y = sigmoid(mul(x, number(1 / temperature, type)));
    return dy ? mul(mul(dy, number(amplitude / temperature, type)), mul(y, sub(one, y)))
              : mul(a, y);
  }
  case SoftcapKind::rsqrt: {
    Value square = add(mul(x, x), number(amplitude * amplitude, type));
    Value r = div(one, math::SqrtOp::create(b, loc, square));
    if (!dy)
      return mul(mul(a, x), r);
    return mul(mul(dy, number(amplitude * amplitude * amplitude, type)), mul(r, mul(r, r)));
  }
  }
  llvm_unreachable("unknown softcap");
}

} // namespace smelt
