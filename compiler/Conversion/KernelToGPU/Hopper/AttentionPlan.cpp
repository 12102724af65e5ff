//===- AttentionPlan.cpp - Attention that Hopper's kernels take -----------===//
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

/// What a region reads: its stored tensor, and the shift if there is one.
struct RegionSource {
  Value operand;
  lm::TokenShiftOp shift;
};

static RegionSource findSource(Region &region, OperandRange inputs) {
  auto yield = cast<kernel::YieldOp>(region.front().getTerminator());
  RegionSource source;
  Value value = skipCasts(yield.getValues()[0]);
  source.shift = value.getDefiningOp<lm::TokenShiftOp>();
  if (source.shift)
    value = skipCasts(source.shift.getX());
  if (auto argument = dyn_cast<BlockArgument>(value))
    source.operand = inputs[argument.getArgNumber()];
  return source;
}

static std::string whyNotSource(const RegionSource &source, bool isKey,
                                const GPUEmission &emission) {
  if (!source.operand)
    return "computes more than a shift while it is loaded";
  if (!cast<RankedTensorType>(source.operand.getType()).getElementType().isBF16())
    return "is not stored in bf16";
  if (emission.getAlignment(emission.getArgument(source.operand)) % 16)
    return "does not begin at a multiple of 16 bytes";
  if (!source.shift)
    return "";
  lm::TokenShiftOp shift = source.shift;
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

std::string AttentionPlan::whyNot(Region &q, OperandRange qInputs, Region &k, OperandRange kInputs,
                                  Region &v, OperandRange vInputs, RankedTensorType heads,
                                  const GPUEmission &emission) {
  if (!emission.getTarget().hasWarpgroupMMA())
    return "the target has no wgmma";
  if (heads.getDimSize(2) != 64 && heads.getDimSize(2) != 128)
    return "heads are neither 64 nor 128 wide";
  for (auto [name, source] :
       {std::pair("q", findSource(q, qInputs)), std::pair("k", findSource(k, kInputs)),
        std::pair("v", findSource(v, vInputs))})
    if (std::string reason = whyNotSource(source, StringRef(name) == "k", emission);
        !reason.empty())
      return std::string(name) + " " + reason;
  return "";
}

AttentionPlan AttentionPlan::make(Region &q, OperandRange qInputs, Region &k, OperandRange kInputs,
                                  Region &v, OperandRange vInputs, RankedTensorType heads,
                                  const GPUEmission &emission) {
  AttentionPlan plan;
  plan.tokens = heads.getDimSize(0);
  plan.heads = heads.getDimSize(1);
  plan.width = heads.getDimSize(2);
  RegionSource key = findSource(k, kInputs);
  plan.q.argument = emission.getArgument(findSource(q, qInputs).operand);
  plan.k.argument = emission.getArgument(key.operand);
  plan.v.argument = emission.getArgument(findSource(v, vInputs).operand);
  SmallVector<int64_t> features;
  if (key.shift) {
    plan.hasShift = true;
    features = llvm::to_vector(key.shift.getFeatures());
    if (features.empty())
      features = {0, plan.width};
  }
  for (int64_t bound : features)
    if (bound % 64)
      plan.keyGroup = 32;
  plan.k.shifted.assign(plan.width / plan.keyGroup, false);
  for (size_t i = 0; i < features.size(); i += 2)
    for (int64_t feature = features[i]; feature < features[i + 1]; feature += plan.keyGroup)
      plan.k.shifted[feature / plan.keyGroup] = true;
  return plan;
}
