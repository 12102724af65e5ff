//===- PlainProduct.cpp - GEMMs that a library could compute --------------===//
//
//   result { ^bb0(%c: tensor<MxNxf32>, %x: tensor<MxNxbf16>, %s: tensor<f32>):
//     %0 = lm.cast %x  %1 = lm.scale %c, %s  %2 = lm.add %1, %0  %3 = lm.cast %2  kernel.yield %3 }
// is output = s · a·b + 1 · x in bf16. A product that is rounded before it is added to something (a
// weight's gradient, whose products are bf16 in the records) is not: a library rounds once.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/PlainProduct.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"

using namespace mlir;
using namespace smelt;

static Value getYielded(kernel::GemmOp op, unsigned region) {
  return cast<kernel::YieldOp>(op->getRegion(region).front().getTerminator()).getValues()[0];
}

static Type getElement(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getElementType();
}

Value smelt::getExactOperand(kernel::GemmOp op, unsigned index) {
  Value value = smelt::gpu::skipCasts(getYielded(op, index));
  while (auto reshape = value.getDefiningOp<lm::ReshapeOp>())
    value = smelt::gpu::skipCasts(reshape.getX());
  return value;
}

Value smelt::findStoredOperand(kernel::GemmOp op, unsigned index) {
  auto argument = dyn_cast<BlockArgument>(getExactOperand(op, index));
  if (!argument)
    return {};
  return (index == 0 ? op.getAInputs() : op.getBInputs())[argument.getArgNumber()];
}

namespace {

/// The result region, term by term.
class Terms {
public:
  Terms(kernel::GemmOp op, const GPUEmission &emission, GPUProduct &product)
      : op(op), emission(emission), product(product) {}

  /// Takes `value` as the product with its factor and at most one addend.
  std::string takeSum(Value value) {
    if (auto add = value.getDefiningOp<lm::AddOp>())
      return takeTwo({add.getA(), add.getB()}, {});
    if (auto mix = value.getDefiningOp<lm::MixOp>(); mix && mix.getValues().size() == 2)
      return takeTwo(mix.getValues(), mix.getCoefficients());
    return takeProduct(value, {});
  }

private:
  std::string takeTwo(ValueRange values, ValueRange coefficients) {
    for (unsigned first : {0, 1}) {
      auto coefficient = [&](unsigned i) {
        return coefficients.empty() ? Value() : coefficients[i];
      };
      if (!takeProduct(values[first], coefficient(first)).empty())
        continue;
      return takeAddend(values[1 - first], coefficient(1 - first));
    }
    return "no term of the sum is the product and a factor";
  }

  /// c or lm.scale c, s, times a coefficient (null: 1), of which one alone is not 1.
  std::string takeProduct(Value value, Value coefficient) {
    Value factor = coefficient;
    if (auto scale = value.getDefiningOp<lm::ScaleOp>()) {
      if (factor && !isOne(factor))
        return "the product has two factors";
      factor = scale.getS();
      value = scale.getX();
    }
    if (value != op.getResult().front().getArgument(0))
      return "the result is more than a product with a factor and an addend";
    return takeFactor(factor, product.alpha);
  }

  std::string takeAddend(Value value, Value coefficient) {
    auto argument = dyn_cast<BlockArgument>(smelt::gpu::skipCasts(value));
    if (!argument || argument.getArgNumber() == 0)
      return "the addend is computed";
    Value input = op.getResultInputs()[argument.getArgNumber() - 1];
    if (getElement(input) != getElement(op.getOutputs()[0]))
      return "the addend is of another type than the result";
    product.addend = emission.getArgument(input);
    return takeFactor(coefficient, product.beta);
  }

  static bool isOne(Value scalar) {
    auto constant = scalar.getDefiningOp<lm::ConstantOp>();
    return constant && constant.getValue().isSplat() &&
           constant.getValue().getSplatValue<APFloat>().isExactlyValue(1.0);
  }

  std::string takeFactor(Value scalar, GPUFactor &factor) {
    if (!scalar)
      return "";
    if (auto constant = scalar.getDefiningOp<lm::ConstantOp>()) {
      factor.value = constant.getValue().getSplatValue<APFloat>().convertToDouble();
      return "";
    }
    auto argument = dyn_cast<BlockArgument>(scalar);
    if (!argument || !getElement(scalar).isF32())
      return "a factor is computed";
    factor.argument = emission.getArgument(op.getResultInputs()[argument.getArgNumber() - 1]);
    return "";
  }

  mutable kernel::GemmOp op;
  const GPUEmission &emission;
  GPUProduct &product;
};

std::string match(kernel::GemmOp op, const GPUEmission &emission, GPUProduct &product) {
  for (unsigned index : {0, 1}) {
    Value stored = findStoredOperand(op, index);
    if (!stored || !getElement(stored).isBF16())
      return "an operand is not bf16 as it is stored";
    (index == 0 ? product.a : product.b) = emission.getArgument(stored);
  }
  if (op.getOutputs().size() != 1)
    return "there are several results";
  Value output = op.getOutputs()[0];
  if (!getElement(output).isBF16() && !getElement(output).isF32())
    return "the result is neither bf16 nor f32";
  product.isF32 = getElement(output).isF32();
  product.output = emission.getArgument(output);
  // The one rounding, where it is stored.
  Value value = getYielded(op, 2);
  while (auto reshape = value.getDefiningOp<lm::ReshapeOp>())
    value = reshape.getX();
  if (auto cast = value.getDefiningOp<lm::CastOp>())
    value = cast.getX();
  while (auto reshape = value.getDefiningOp<lm::ReshapeOp>())
    value = reshape.getX();
  if (!getElement(value).isF32())
    return "the result is not computed in f32";
  if (std::string why = Terms(op, emission, product).takeSum(value); !why.empty())
    return why;
  for (std::optional<uint32_t> argument : {std::optional(product.a), std::optional(product.b),
                                           std::optional(product.output), product.addend})
    if (argument && emission.getAlignment(*argument) % 256)
      return "a buffer does not begin at a multiple of 256 bytes";
  return "";
}

} // namespace

std::optional<GPUProduct> smelt::matchPlainProduct(kernel::GemmOp op, const GPUEmission &emission,
                                                   std::string &why) {
  GPUProduct product;
  product.groups = op.getGroups();
  product.m = op.getM();
  product.n = op.getN();
  product.k = op.getK();
  product.transposeA = op.getTransposeA();
  product.transposeB = op.getTransposeB();
  why = match(op, emission, product);
  if (!why.empty())
    return std::nullopt;
  return product;
}
