//===- HeadPlan.cpp - The language-model head as launches -----------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numbers>

using namespace mlir;
using namespace mlir::lm;
using namespace smelt;
using namespace smelt::gpu;

static bool isScalar(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getRank() == 0;
}

bool HeadPlan::isBounded() const {
  if (!softcap)
    return false;
  double range = *softcap == SoftcapKind::sigmoid ? amplitude : 2 * amplitude;
  return amplitude > 0 && range <= 80; // e^-80 is normal in f32.
}

double HeadPlan::getShift() const { return amplitude; }

/// What HeadScalars evaluates.
static bool isScalarOp(Operation *op) {
  return isa<ConstantOp, ScaleOp, AddOp, MultiplyOp, MixOp, CastOp>(op) ||
         (isa<UnaryOp>(op) && (cast<UnaryOp>(op).getKind() == UnaryKind::reciprocal ||
                               cast<UnaryOp>(op).getKind() == UnaryKind::negate));
}

/// The scalar that all elements of a row vector are; null if they differ.
static Value getSplat(Value vector) {
  if (auto broadcast = vector.getDefiningOp<BroadcastOp>())
    return isScalar(broadcast.getX()) ? broadcast.getX() : Value();
  auto constant = vector.getDefiningOp<ConstantOp>();
  return constant && constant.getValue().isSplat() ? vector : Value();
}

bool smelt::gpu::isHead(kernel::GemmOp op) {
  return !op.getResult().front().getOps<CrossEntropyOp>().empty();
}

std::string smelt::gpu::whyNotHeadRegion(kernel::GemmOp op) {
  for (Operation &inner : op.getResult().front().without_terminator()) {
    bool isScalarResult = inner.getNumResults() == 1 && isScalar(inner.getResult(0));
    if (!isa<ScaleOp, SoftcapOp, CrossEntropyOp, SumOp, CountOp, CrossEntropyBackwardOp,
             SoftcapBackwardOp, QuantizeOp, CastOp, ConstantOp, BroadcastOp>(inner) &&
        !(isScalarResult && isScalarOp(&inner)))
      return inner.getName().getStringRef().str() + " is not written for a head";
  }
  return "";
}

static bool dependsOnLoss(Value scalar) {
  Operation *definition = scalar.getDefiningOp();
  if (!definition)
    return false;
  return isa<SumOp, CountOp>(definition) || llvm::any_of(definition->getOperands(), dependsOnLoss);
}

std::string HeadPlan::match(kernel::GemmOp op, const GPUEmission &emission, HeadPlan &plan) {
  if (!emission.getTarget().hasWarpgroupMMA())
    return "the target has no wgmma";
  if (std::string reason = matchResult(op, emission, plan); !reason.empty())
    return reason;
  for (unsigned index : {0, 1})
    if (std::string reason = whyNotKMajor(op, index, emission); !reason.empty())
      return reason;
  OperandType a = smelt::gpu::getMultipliedType(op, 0), b = smelt::gpu::getMultipliedType(op, 1);
  if ((a == OperandType::BF16) != (b == OperandType::BF16))
    return "one operand is f8, the other is not";
  if (plan.depth * getBytes(a) % 16)
    return "rows of the operands are no multiple of 16 bytes";
  return "";
}

namespace {
/// The result region's ops, one after the other; each member says why the form is another one, or
/// fills in its part of the plan.
class RegionMatcher {
public:
  RegionMatcher(kernel::GemmOp op, HeadPlan &plan) : block(op.getResult().front()), plan(plan) {}

  std::string matchLogits();
  std::string matchSums();
  /// A tensor that the region yields, and the op's result.
  std::string matchOutput(Value tensor, Value output);
  std::string matchLossGradient(const GPUEmission &emission);
  std::string matchScalars();

private:
  Block &block;
  HeadPlan &plan;
  SoftcapOp softcap;
  Value capped; ///< What the softcap takes.
  BlockArgument targets;
  CrossEntropyBackwardOp backward;
};
} // namespace

std::string RegionMatcher::matchLogits() {
  for (auto loss : block.getOps<CrossEntropyOp>())
    plan.loss = loss;
  if (!plan.loss)
    return "the result has no cross-entropy";
  Value z = plan.loss.getLogits();
  softcap = z.getDefiningOp<SoftcapOp>();
  if (softcap) {
    plan.softcap = softcap.getKind();
    plan.amplitude = softcap.getAmplitude().convertToDouble();
    plan.temperature = softcap.getTemperature().convertToDouble();
    z = softcap.getX();
  }
  capped = z;
  if (auto scale = z.getDefiningOp<ScaleOp>()) {
    plan.scale = scale.getS();
    z = scale.getX();
  }
  return z == block.getArgument(0) ? ""
                                   : "the logits are more than a scaled product under a softcap";
}

std::string RegionMatcher::matchSums() {
  targets = dyn_cast<BlockArgument>(plan.loss.getTargets());
  if (!targets)
    return "the targets are computed";
  for (Operation &inner : block.without_terminator()) {
    if (auto found = dyn_cast<CrossEntropyBackwardOp>(inner))
      backward = found;
    if (isa<SumOp>(inner) && inner.getOperand(0) != plan.loss.getLoss())
      return "a sum of other than losses";
    if (isa<CountOp>(inner) && inner.getOperand(0) != targets)
      return "other targets are counted";
  }
  return "";
}

std::string RegionMatcher::matchOutput(Value tensor, Value output) {
  if (isScalar(tensor)) {
    plan.scalars.push_back({tensor, output});
    return "";
  }
  Value inner = tensor;
  auto element = cast<RankedTensorType>(tensor.getType()).getElementType();
  if (auto quantize = inner.getDefiningOp<QuantizeOp>()) {
    plan.gradientScale = quantize.getScale().convertToDouble();
    inner = quantize.getX();
  } else if (auto cast = inner.getDefiningOp<CastOp>()) {
    inner = cast.getX();
  }
  if (auto curve = inner.getDefiningOp<SoftcapBackwardOp>(); curve && softcap) {
    if (curve.getX() != capped || curve.getKind() != softcap.getKind() ||
        curve.getAmplitude() != softcap.getAmplitude() ||
        curve.getTemperature() != softcap.getTemperature())
      return "the gradient is of another softcap";
    inner = curve.getDy();
  } else if (softcap) {
    return "a result is neither a scalar nor the gradient of the product";
  }
  if (!backward || inner != backward.getDlogits() || plan.gradient)
    return "a result is neither a scalar nor the gradient of the product";
  if (element.isF32())
    return "the gradient is stored in f32";
  plan.gradient = output;
  plan.gradientElement = element;
  return "";
}

std::string RegionMatcher::matchLossGradient(const GPUEmission &emission) {
  if (!plan.gradient)
    return "";
  if (backward.getLogits() != plan.loss.getLogits() || backward.getTargets() != targets ||
      backward.getLse() != plan.loss.getLse())
    return "the gradient is of another loss";
  plan.lossGradient = getSplat(backward.getDloss());
  if (!plan.lossGradient || dependsOnLoss(plan.lossGradient))
    return "the loss's gradient is not one number known before the loss";
  if (plan.columns % 8 || emission.getAlignment(emission.getArgument(plan.gradient)) % 16)
    return "the gradient's rows are no multiple of 16 bytes";
  return "";
}

std::string RegionMatcher::matchScalars() {
  for (Operation &inner : block.without_terminator())
    if (inner.getNumResults() == 1 && isScalar(inner.getResult(0)) && !isa<SumOp, CountOp>(inner) &&
        !isScalarOp(&inner))
      return inner.getName().getStringRef().str() + " on scalars is not written for the head";
  return "";
}

std::string HeadPlan::matchResult(kernel::GemmOp op, const GPUEmission &emission, HeadPlan &plan) {
  plan.op = op;
  plan.rows = op.getM();
  plan.columns = op.getN();
  plan.depth = op.getK();
  RegionMatcher region(op, plan);
  if (std::string reason = region.matchLogits(); !reason.empty())
    return reason;
  if (std::string reason = region.matchSums(); !reason.empty())
    return reason;
  auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
  for (auto [tensor, output] : llvm::zip_equal(yield.getValues(), op.getOutputs()))
    if (std::string reason = region.matchOutput(tensor, output); !reason.empty())
      return reason;
  if (std::string reason = region.matchLossGradient(emission); !reason.empty())
    return reason;
  return region.matchScalars();
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value HeadScalars::get(Value tensor) {
  if (Value number = known.lookup(tensor))
    return number;
  Value number = compute(tensor);
  known[tensor] = number;
  return number;
}

Value HeadScalars::compute(Value tensor) {
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    Value input = op.getResultInputs()[argument.getArgNumber() - 1];
    Value pointer = function.getPointer(input);
    if (cast<RankedTensorType>(tensor.getType()).getElementType().isF32())
      return code.load(code.f32Type(), pointer, 4);
    Value bits = code.load(code.builder.getI16Type(), pointer, 2);
    return code.unpackBF16(arith::ExtUIOp::create(code.builder, code.loc, code.i32Type(), bits))
        .first;
  }
  return llvm::TypeSwitch<Operation *, Value>(tensor.getDefiningOp())
      .Case([&](ConstantOp constant) {
        return code.f32(constant.getValue().getSplatValue<APFloat>().convertToDouble());
      })
      .Case([&](AddOp add) { return code.fadd(get(add.getA()), get(add.getB())); })
      .Case([&](MultiplyOp multiply) {
        return code.fmul(get(multiply.getA()), get(multiply.getB()));
      })
      .Case([&](ScaleOp scale) { return code.fmul(get(scale.getX()), get(scale.getS())); })
      .Case([&](CastOp cast) { return get(cast.getX()); })
      .Case([&](UnaryOp unary) -> Value {
        Value x = get(unary.getX());
        if (unary.getKind() == UnaryKind::negate)
          return code.fneg(x);
        return arith::DivFOp::create(code.builder, code.loc, code.f32(1), x);
      })
      .Case([&](MixOp mix) {
        Value sum;
        for (auto [value, coefficient] : llvm::zip_equal(mix.getValues(), mix.getCoefficients())) {
          Value c = get(coefficient), v = get(value);
          sum = sum ? code.fma(c, v, sum) : code.fmul(c, v);
        }
        return sum;
      });
}

//===----------------------------------------------------------------------===//
// Softcap
//===----------------------------------------------------------------------===//

HeadCurve::HeadCurve(CodeBuilder &code, const HeadPlan &plan, Value scale)
    : code(code), plan(plan), factor(scale) {
  if (!plan.softcap || *plan.softcap == SoftcapKind::rsqrt)
    return;
  double inner =
      std::numbers::log2e / plan.temperature * (*plan.softcap == SoftcapKind::sigmoid ? -1 : 2);
  factor = scale ? code.fmul(scale, code.f32(inner)) : code.f32(inner);
}

Value HeadCurve::cap(Value x) {
  Value t = factor ? code.fmul(x, factor) : x;
  if (!plan.softcap)
    return t;
  if (*plan.softcap == SoftcapKind::rsqrt) {
    Value square = code.fma(t, t, code.f32(plan.amplitude * plan.amplitude));
    return code.fmul(code.fmul(t, code.f32(plan.amplitude)),
                     code.approximate("rsqrt.approx.ftz.f32", square));
  }
  // 1/(1 + 2^t): σ with t = −z·log2e/τ; tanh = 1 − 2/(1 + 2^t) with t = 2z·log2e/τ.
  Value power = code.approximate("ex2.approx.ftz.f32", t);
  Value quotient = code.approximate("rcp.approx.ftz.f32", code.fadd(power, code.f32(1)));
  if (*plan.softcap == SoftcapKind::sigmoid)
    return code.fmul(quotient, code.f32(plan.amplitude));
  return code.fma(quotient, code.f32(-2 * plan.amplitude), code.f32(plan.amplitude));
}

double HeadCurve::getSlopeFactor() const {
  if (!plan.softcap || *plan.softcap == SoftcapKind::rsqrt)
    return 1;
  return plan.amplitude / plan.temperature;
}

Value HeadCurve::slope(Value logit) {
  if (!plan.softcap)
    return {};
  Value y = code.fmul(logit, code.f32(1 / plan.amplitude));
  if (*plan.softcap == SoftcapKind::sigmoid) // σ(1 − σ)
    return code.fma(code.fneg(y), y, y);
  Value rest = code.fma(code.fneg(y), y, code.f32(1));
  if (*plan.softcap == SoftcapKind::tanh)
    return rest;
  // A³·(z² + A²)^-3/2 = (1 − y²)^3/2; 1 − y² may round below 0.
  rest = code.fmax(rest, code.f32(0));
  return code.fmul(rest, code.approximate("sqrt.approx.ftz.f32", rest));
}
