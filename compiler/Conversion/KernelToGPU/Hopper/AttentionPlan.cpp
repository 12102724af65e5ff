//===- AttentionPlan.cpp - Attention that Hopper's kernels take -----------===//
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"
#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

/// What a region reads: its stored tensor, and the shift if there is one.
struct RegionSource {
  Value operand;
  lm::TokenShiftOp shift;
};

static RegionSource findSource(const AttentionInputs::Operand &operand) {
  auto yield = cast<kernel::YieldOp>(operand.region.front().getTerminator());
  RegionSource source;
  Value value = skipCasts(yield.getValues()[0]);
  source.shift = value.getDefiningOp<lm::TokenShiftOp>();
  if (source.shift)
    value = skipCasts(source.shift.getX());
  if (auto argument = dyn_cast<BlockArgument>(value))
    source.operand = operand.inputs[argument.getArgNumber()];
  return source;
}

std::string smelt::whyNotHopperShift(lm::TokenShiftOp shift, bool isKey) {
  if (!isKey)
    return "is shifted, and only keys are here";
  if (shift.getMode() != lm::ShiftMode::replace || shift.getScale() || shift.getGate() ||
      shift.getDistance() != 1 || shift.getDocuments() != lm::DocumentRule::cross ||
      !shift.getHeads().empty())
    return "has a shift that is no change of rows alone";
  for (int64_t bound : shift.getFeatures())
    if (bound % 32)
      return "has shifted features that do not begin at a multiple of 32";
  return "";
}

static std::string whyNotSource(const RegionSource &source, bool isKey,
                                const GPUEmission &emission) {
  if (!source.operand)
    return "computes more than a shift while it is loaded";
  if (!cast<RankedTensorType>(source.operand.getType()).getElementType().isBF16())
    return "is not stored in bf16";
  if (emission.getAlignment(emission.getArgument(source.operand)) % 16)
    return "does not begin at a multiple of 16 bytes";
  return source.shift ? whyNotHopperShift(source.shift, isKey) : "";
}

std::string AttentionPlan::whyNot(const AttentionInputs &inputs, const GPUEmission &emission) {
  if (!emission.getTarget().hasWarpgroupMMA())
    return "the target has no wgmma";
  return whyNotOperands(inputs, emission);
}

std::string AttentionPlan::whyNotOperands(const AttentionInputs &inputs,
                                          const GPUEmission &emission) {
  if (inputs.heads.getDimSize(2) != 64 && inputs.heads.getDimSize(2) != 128)
    return "heads are neither 64 nor 128 wide";
  for (auto [name, operand] :
       {std::pair("q", &inputs.q), std::pair("k", &inputs.k), std::pair("v", &inputs.v)})
    if (std::string reason = whyNotSource(findSource(*operand), operand == &inputs.k, emission);
        !reason.empty())
      return std::string(name) + " " + reason;
  return "";
}

AttentionPlan AttentionPlan::make(const AttentionInputs &inputs, const GPUEmission &emission) {
  AttentionPlan plan;
  plan.tokens = inputs.heads.getDimSize(0);
  plan.heads = inputs.heads.getDimSize(1);
  plan.width = inputs.heads.getDimSize(2);
  RegionSource key = findSource(inputs.k);
  plan.q.argument = emission.getArgument(findSource(inputs.q).operand);
  plan.k.argument = emission.getArgument(key.operand);
  plan.v.argument = emission.getArgument(findSource(inputs.v).operand);
  SmallVector<int64_t> features;
  if (key.shift) {
    plan.hasShift = true;
    features = llvm::to_vector(key.shift.getFeatures());
    if (features.empty())
      features = {0, plan.width};
  }
  for (int64_t bound : features)
    while (bound % plan.keyGroup)
      plan.keyGroup /= 2;
  plan.k.shifted.assign(plan.width / plan.keyGroup, false);
  for (size_t i = 0; i < features.size(); i += 2)
    for (int64_t feature = features[i]; feature < features[i + 1]; feature += plan.keyGroup)
      plan.k.shifted[feature / plan.keyGroup] = true;
  return plan;
}

/// The gate and whether the region computes nothing else.
static std::pair<BlockArgument, bool> findGate(kernel::AttentionOp op) {
  auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
  Value value = yield.getValues()[0];
  BlockArgument gate;
  while (Operation *definition = value.getDefiningOp()) {
    if (auto conversion = dyn_cast<lm::CastOp>(definition)) {
      value = conversion.getX();
    } else if (auto reshape = dyn_cast<lm::ReshapeOp>(definition)) {
      value = reshape.getX();
    } else if (auto scale = dyn_cast<lm::RowScaleOp>(definition)) {
      auto factor = dyn_cast<BlockArgument>(skipCasts(scale.getG()));
      if (gate || !factor || cast<RankedTensorType>(scale.getX().getType()).getRank() != 3)
        return {gate, false};
      gate = factor;
      value = scale.getX();
    } else {
      return {gate, false};
    }
  }
  return {gate, value == op.getResult().front().getArgument(0)};
}

std::string AttentionResult::whyNot(kernel::AttentionOp op, const GPUEmission &emission) {
  if (op.getOutputs().size() != 1)
    return "the result region gives several tensors";
  auto [gate, isAll] = findGate(op);
  if (!isAll)
    return "the result region computes more than a factor per head";
  if (gate) {
    Type element = cast<RankedTensorType>(gate.getType()).getElementType();
    if (!element.isF32() && !element.isBF16())
      return "the factor per head is neither f32 nor bf16";
  }
  if (!cast<RankedTensorType>(op.getOutputs()[0].getType()).getElementType().isBF16())
    return "the output is not stored in bf16";
  if (emission.getAlignment(emission.getArgument(op.getOutputs()[0])) % 16)
    return "the output does not begin at a multiple of 16 bytes";
  return "";
}

AttentionResult AttentionResult::make(kernel::AttentionOp op) {
  BlockArgument gate = findGate(op).first;
  return {gate ? op.getResultInputs()[gate.getArgNumber() - 1] : Value()};
}
