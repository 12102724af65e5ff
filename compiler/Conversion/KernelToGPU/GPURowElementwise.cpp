//===- GPURowElementwise.cpp - Element-wise ops, factors, soft caps -------===//
#include "compiler/Conversion/KernelToGPU/GPURowScope.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

Value GPURowEmitter::applyUnary(UnaryKind kind, Value x) {
  Value zero = g.number(0);
  switch (kind) {
  case UnaryKind::identity:
    return x;
  case UnaryKind::negate:
    return g.negf(x);
  case UnaryKind::sigmoid:
    return g.sigmoid(x);
  case UnaryKind::tanh:
    return g.tanh(x);
  case UnaryKind::relu:
    return g.select(g.greaterf(x, zero), x, zero);
  case UnaryKind::relu_squared:
    return g.select(g.greaterf(x, zero), g.mulf(x, x), zero);
  case UnaryKind::gelu:
    return g.mulf(g.mulf(g.number(0.5), x),
                  g.addf(g.number(1), g.erf(g.mulf(x, g.number(0.7071067811865476)))));
  case UnaryKind::silu:
    return g.mulf(x, g.sigmoid(x));
  case UnaryKind::exp:
    return g.exp(x);
  case UnaryKind::sqrt:
    return g.sqrt(x);
  case UnaryKind::reciprocal:
    return g.reciprocal(x);
  case UnaryKind::step:
    return g.select(g.compare(arith::CmpFPredicate::OGE, x, zero), g.number(1), zero);
  }
  llvm_unreachable("every kind is above");
}

SmallVector<Value> GPURowEmitter::computeUnaryBackward(UnaryBackwardOp op, const Values &xs,
                                                       const Values &dys) {
  Values results;
  Value zero = g.number(0), one = g.number(1), two = g.number(2);
  for (auto [x, dy] : llvm::zip(xs, dys)) {
    auto derivative = [&, x = x]() -> Value {
      bool y = op.getFromOutput(); // x is the function's value then.
      switch (op.getKind()) {
      case UnaryKind::identity:
        return one;
      case UnaryKind::negate:
        return g.number(-1);
      case UnaryKind::sigmoid: {
        Value value = y ? x : g.sigmoid(x);
        return g.mulf(value, g.subf(one, value));
      }
      case UnaryKind::tanh: {
        Value value = y ? x : g.tanh(x);
        return g.subf(one, g.mulf(value, value));
      }
      case UnaryKind::relu:
        return g.select(g.greaterf(x, zero), one, zero);
      case UnaryKind::relu_squared:
        return y ? g.mulf(two, g.sqrt(x)) : g.select(g.greaterf(x, zero), g.mulf(two, x), zero);
      case UnaryKind::gelu: {
        Value cdf = g.mulf(g.number(0.5), g.addf(one, g.erf(g.mulf(x, g.number(0.7071067811865476)))));
        Value density = g.mulf(g.number(0.3989422804014327),
                               g.exp(g.mulf(g.number(-0.5), g.mulf(x, x))));
        return g.fma(x, density, cdf);
      }
      case UnaryKind::silu: {
        Value value = g.sigmoid(x);
        return g.mulf(value, g.fma(x, g.subf(one, value), one));
      }
      case UnaryKind::exp:
        return y ? x : g.exp(x);
      case UnaryKind::sqrt:
        return g.divf(g.number(0.5), y ? x : g.sqrt(x));
      case UnaryKind::reciprocal:
        return y ? g.negf(g.mulf(x, x)) : g.negf(g.divf(one, g.mulf(x, x)));
      case UnaryKind::step:
        return zero;
      }
      llvm_unreachable("every kind is above");
    };
    results.push_back(g.mulf(dy, derivative()));
  }
  return results;
}

Value GPURowEmitter::getFactor(Value factor, Value row, const GPUChunk &chunk, int64_t width,
                               int64_t segments) {
  int64_t count = program.getFeatures(factor);
  if (program.isFlat() || count != segments || count == 1)
    return get(factor, row, GPUChunk::at(0))[0];
  Place place = locate(chunk, width);
  if (!place.segment)
    return get(factor, row, GPUChunk::at(place.staticSegment))[0];
  return get(factor, row, GPUChunk::at(place.segment, 0, count))[0];
}

SmallVector<Value> GPURowEmitter::computeElementwise(Operation *op, Value row,
                                                     const GPUChunk &chunk) {
  auto pull = [&](Value value) { return get(value, row, chunk); };
  auto map = [&](const Values &xs, llvm::function_ref<Value(Value)> function) {
    Values results;
    for (Value x : xs)
      results.push_back(function(x));
    return results;
  };
  auto zip = [&](const Values &xs, const Values &ys,
                 llvm::function_ref<Value(Value, Value)> function) {
    Values results;
    for (auto [x, y] : llvm::zip(xs, ys))
      results.push_back(function(x, y));
    return results;
  };
  return llvm::TypeSwitch<Operation *, Values>(op)
      .Case([&](AddOp add) {
        return zip(pull(add.getA()), pull(add.getB()), [&](Value x, Value y) { return g.addf(x, y); });
      })
      .Case([&](MultiplyOp multiply) {
        return zip(pull(multiply.getA()), pull(multiply.getB()),
                   [&](Value x, Value y) { return g.mulf(x, y); });
      })
      .Case([&](MixOp mix) {
        Values sum;
        for (auto [value, coefficient] : llvm::zip(mix.getValues(), mix.getCoefficients())) {
          Value c = getUniform(coefficient);
          Values xs = pull(value);
          sum = sum.empty() ? map(xs, [&](Value x) { return g.mulf(c, x); })
                            : zip(xs, sum, [&](Value x, Value s) { return g.fma(c, x, s); });
        }
        return sum;
      })
      .Case([&](ScaleOp scale) {
        Value s = getUniform(scale.getS());
        return map(pull(scale.getX()), [&](Value x) { return g.mulf(x, s); });
      })
      .Case([&](RowScaleOp scale) {
        Value x = scale.getX();
        int64_t width = program.getSegment(x);
        Value factor = getFactor(scale.getG(), row, chunk, width, program.getFeatures(x) / width);
        return map(pull(x), [&](Value each) { return g.mulf(each, factor); });
      })
      .Case([&](BroadcastOp broadcast) {
        int64_t width = program.getSegment(broadcast.getResult());
        return Values(chunk.count,
                      getFactor(broadcast.getX(), row, chunk, width,
                                program.getFeatures(broadcast.getResult()) / width));
      })
      .Case([&](UnaryOp unary) {
        return map(pull(unary.getX()), [&](Value x) { return applyUnary(unary.getKind(), x); });
      })
      .Case([&](UnaryBackwardOp backward) {
        return computeUnaryBackward(backward, pull(backward.getX()), pull(backward.getDy()));
      })
      .Case([&](CastOp cast_) {
        Type element = cast<RankedTensorType>(cast_.getResult().getType()).getElementType();
        return map(pull(cast_.getX()), [&](Value x) { return g.roundTo(x, element); });
      })
      .Case([&](QuantizeOp quantize) {
        Type element = cast<RankedTensorType>(quantize.getResult().getType()).getElementType();
        return map(computeQuotient(quantize, row, chunk),
                   [&](Value x) { return g.roundTo(x, element); });
      })
      .Case([&](JoinMasterOp join) {
        return zip(pull(join.getHigh()), pull(join.getLow()),
                   [&](Value high, Value low) { return g.joinMaster(high, low); });
      })
      .Case([&](ReshapeOp reshape) { return pull(reshape.getX()); })
      .Case([&](AtLeastOp bounded) {
        Value bound = g.number(bounded.getBound().convertToDouble());
        return map(pull(bounded.getX()), [&](Value x) { return g.maxf(x, bound); });
      })
      .Case([&](ExpandGroupsOp expand) {
        int64_t groups = cast<RankedTensorType>(expand.getX().getType()).getDimSize(0);
        Value group = atRowLevel([&] { return g.div(row, program.getRows() / groups); });
        return Values(chunk.count, get(expand.getX(), group, GPUChunk::at(0))[0]);
      })
      .Case<SoftcapOp, SoftcapBackwardOp>([&](auto) { return computeSoftcap(op, row, chunk); })
      .Default([](Operation *) -> Values { llvm_unreachable("refused by whyNotGPURowOp"); });
}

SmallVector<Value> GPURowEmitter::computeQuotient(QuantizeOp op, Value row,
                                                  const GPUChunk &chunk) {
  Values quotients;
  for (Value x : get(op.getX(), row, chunk)) // A product, itself rounded: see lm.quantize.
    quotients.push_back(g.mulf(x, g.number(1 / op.getScale().convertToDouble())));
  return quotients;
}

SmallVector<Value> GPURowEmitter::computeSoftcap(Operation *op, Value row, const GPUChunk &chunk) {
  auto forward = dyn_cast<SoftcapOp>(op);
  auto backward = dyn_cast<SoftcapBackwardOp>(op);
  SoftcapKind kind = forward ? forward.getKind() : backward.getKind();
  double amplitude = (forward ? forward.getAmplitude() : backward.getAmplitude()).convertToDouble();
  double temperature =
      (forward ? forward.getTemperature() : backward.getTemperature()).convertToDouble();
  Values results, dys = backward ? get(backward.getDy(), row, chunk) : Values();
  for (auto [i, z] : llvm::enumerate(get(op->getOperand(0), row, chunk))) {
    Value scaled = g.mulf(z, g.number(1 / temperature)), value, slope;
    if (kind == SoftcapKind::rsqrt) {
      Value r = g.rsqrt(g.fma(z, z, g.number(amplitude * amplitude)));
      value = g.mulf(g.mulf(g.number(amplitude), z), r);
      Value ar = g.mulf(g.number(amplitude), r);
      slope = g.mulf(ar, g.mulf(ar, ar));
    } else {
      bool isTanh = kind == SoftcapKind::tanh;
      Value y = isTanh ? g.tanh(scaled) : g.sigmoid(scaled);
      value = g.mulf(g.number(amplitude), y);
      Value one = g.number(1);
      Value shape = isTanh ? g.subf(one, g.mulf(y, y)) : g.mulf(y, g.subf(one, y));
      slope = g.mulf(g.number(amplitude / temperature), shape);
    }
    results.push_back(forward ? value : g.mulf(dys[i], slope));
  }
  return results;
}

} // namespace smelt
