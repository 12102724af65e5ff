//===- GemmPlan.cpp - How a kernel.gemm runs on Hopper --------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/GemmPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"
#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "llvm/ADT/SetVector.h"
#include <limits>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

/// The operand that a load region passes on with its exact value, in its order; null if it computes
/// anything.
static Value getStoredOperand(Region &region, OperandRange inputs) {
  auto yield = cast<kernel::YieldOp>(region.front().getTerminator());
  Value value = skipCasts(yield.getValues()[0]);
  while (auto reshape = value.getDefiningOp<lm::ReshapeOp>())
    value = skipCasts(reshape.getX());
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || argument.getOwner() != &region.front())
    return {};
  return inputs[argument.getArgNumber()];
}

static std::optional<OperandType> getOperandType(Type element) {
  if (element.isBF16())
    return OperandType::BF16;
  if (isa<Float8E4M3FNType>(element))
    return OperandType::E4M3;
  if (isa<Float8E5M2Type>(element))
    return OperandType::E5M2;
  return std::nullopt;
}

std::string GemmPlan::whyNotRegions(kernel::GemmOp op) {
  for (auto [region, inputs, name] :
       {std::tuple(&op.getA(), op.getAInputs(), "a"), std::tuple(&op.getB(), op.getBInputs(), "b")})
    if (!getStoredOperand(*region, inputs))
      return (Twine("operand ") + name + " is computed while it is loaded").str();
  if (op.getN() % 2)
    return "rows of the product are odd";
  return FragmentRegion::whyNot(op);
}

std::string smelt::whyNotHopperGemm(kernel::GemmOp op) {
  return isHead(op) ? whyNotHeadRegion(op) : GemmPlan::whyNotRegions(op);
}

std::string GemmPlan::whyNot(kernel::GemmOp op, const GPUEmission &emission) {
  if (!emission.getTarget().hasWarpgroupMMA())
    return "the target has no wgmma";
  if (std::string why = whyNotRegions(op); !why.empty())
    return why;
  for (auto [region, inputs, name] : {std::tuple(&op.getA(), op.getAInputs(), "a"),
                                      std::tuple(&op.getB(), op.getBInputs(), "b")}) {
    Value operand = getStoredOperand(*region, inputs);
    auto kind = getOperandType(cast<RankedTensorType>(operand.getType()).getElementType());
    if (!kind)
      return (Twine("operand ") + name + " is neither bf16 nor fp8").str();
    auto type = StringRef(name) == "a" ? op.getAType() : op.getBType();
    if (type.getDimSize(1) * getBytes(*kind) % 16)
      return (Twine("rows of operand ") + name + " are no multiple of 16 bytes").str();
    if (emission.getAlignment(emission.getArgument(operand)) % 16)
      return (Twine("operand ") + name + " does not begin at a multiple of 16 bytes").str();
    bool isKMajor = StringRef(name) == "a" ? !op.getTransposeA() : op.getTransposeB();
    if (*kind != OperandType::BF16 && !isKMajor)
      return (Twine("fp8 operand ") + name + " is not K-major").str();
  }
  return "";
}

/// Inputs of the result region that `tensor` is computed from.
static void collectInputs(Value tensor, llvm::SetVector<BlockArgument> &inputs) {
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    if (argument.getArgNumber() > 0)
      inputs.insert(argument);
    return;
  }
  for (Value operand : tensor.getDefiningOp()->getOperands())
    collectInputs(operand, inputs);
}

/// The matrices among a range's inputs, if all of them can come through the staging area: bf16, one
/// output that is staged too.
static std::vector<unsigned> findStagedInputs(kernel::GemmOp op, const GPUEmission &emission,
                                              const GemmPlan &plan, const GemmRange &range) {
  std::vector<unsigned> result;
  if (range.outputs.size() != 1 || !plan.outputs[range.outputs[0]].isStaged)
    return result;
  llvm::SetVector<BlockArgument> inputs;
  collectInputs(plan.outputs[range.outputs[0]].tensor, inputs);
  for (BlockArgument input : inputs) {
    auto type = cast<RankedTensorType>(input.getType());
    bool isMatrix =
        type.getRank() >= 2 && type.getNumElements() == plan.groups * plan.m * range.columns.width;
    unsigned index = input.getArgNumber() - 1;
    uint32_t argument = emission.getArgument(op.getResultInputs()[index]);
    // A RoPE table has a matrix' shape when a range is one head, but is read by other columns.
    bool isTable = llvm::any_of(input.getUsers(), [](Operation *user) {
      auto cast = dyn_cast<lm::CastOp>(user);
      return isa<lm::RopeOp>(user) ||
             (cast && llvm::any_of(cast->getUsers(), llvm::IsaPred<lm::RopeOp>));
    });
    if (isMatrix && !isTable && type.getElementType().isBF16() && range.columns.width % 8 == 0 &&
        emission.getAlignment(argument) % 16 == 0)
      result.push_back(index);
  }
  if (result.size() > 2)
    result.clear();
  return result;
}

/// Splits of k that finish soonest: rounds of tiles on all multiprocessors, then the time to add
/// the parts, in units of one k step.
static int64_t chooseSplits(const GemmPlan &plan, int64_t multiprocessors) {
  int64_t blocks = (plan.k + plan.blockK() - 1) / plan.blockK();
  constexpr int64_t fixedSteps = 6;      // Filling the pipeline, storing the tile.
  constexpr double bytesPerStep = 1.4e6; // What memory moves in the time of one step (0.35 µs).
  double best = std::numeric_limits<double>::max();
  int64_t chosen = 1;
  for (int64_t splits = 1; splits <= std::max<int64_t>(1, std::min<int64_t>(16, blocks / 8));
       ++splits) {
    int64_t rounds = (plan.tiles() * splits + multiprocessors - 1) / multiprocessors;
    double cost = double(rounds) * double((blocks + splits - 1) / splits + fixedSteps);
    if (splits > 1)
      cost += 10 + double(8 * splits * plan.groups * plan.m * plan.n) / bytesPerStep;
    if (cost < best) {
      best = cost;
      chosen = splits;
    }
  }
  return chosen;
}

GemmPlan GemmPlan::make(kernel::GemmOp op, const GPUEmission &emission) {
  GemmPlan plan;
  Value a = getStoredOperand(op.getA(), op.getAInputs()),
        b = getStoredOperand(op.getB(), op.getBInputs());
  plan.aArgument = emission.getArgument(a);
  plan.bArgument = emission.getArgument(b);
  plan.aType = *getOperandType(cast<RankedTensorType>(a.getType()).getElementType());
  plan.bType = *getOperandType(cast<RankedTensorType>(b.getType()).getElementType());
  plan.aMajor = op.getTransposeA() ? Major::MN : Major::K;
  plan.bMajor = op.getTransposeB() ? Major::K : Major::MN;
  plan.groups = op.getGroups();
  plan.m = op.getM();
  plan.n = op.getN();
  plan.k = op.getK();
  auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
  for (auto [tensor, result] : llvm::zip_equal(yield.getValues(), op.getOutputs())) {
    GemmOutput output{tensor, emission.getArgument(result),
                      cast<RankedTensorType>(tensor.getType()).getElementType(),
                      *FragmentRegion::findColumns(op, tensor), false};
    output.isStaged = output.element.isBF16() && output.columns.width % 8 == 0 &&
                      emission.getAlignment(output.argument) % 16 == 0;
    plan.outputs.push_back(output);
  }
  plan.splits = chooseSplits(plan, emission.getTarget().multiprocessors);
  int64_t blocks = (plan.k + plan.blockK() - 1) / plan.blockK();
  plan.blocksPerSplit = (blocks + plan.splits - 1) / plan.splits;
  plan.splits = (blocks + plan.blocksPerSplit - 1) / plan.blocksPerSplit; // No empty part.
  for (auto [index, output] : llvm::enumerate(plan.outputs)) {
    auto found = llvm::find_if(
        plan.ranges, [&](const GemmRange &range) { return range.columns == output.columns; });
    if (found == plan.ranges.end())
      found = plan.ranges.insert(found, GemmRange{output.columns, {}, {}});
    found->outputs.push_back(index);
  }
  bool isStaged = plan.splits == 1 && llvm::any_of(plan.outputs, [](const GemmOutput &output) {
                    return output.isStaged;
                  });
  size_t inputs = 0;
  // Inputs wait in the staging area while the tile is multiplied: no other range may store there
  // before they are read.
  auto isAlone = [&](const GemmRange &range) {
    return llvm::none_of(plan.ranges, [&](const GemmRange &other) {
      return &other != &range && other.columns.overlaps(range.columns);
    });
  };
  for (GemmRange &range : plan.ranges)
    if (isStaged && isAlone(range)) {
      range.stagedInputs = findStagedInputs(op, emission, plan, range);
      inputs = std::max(inputs, range.stagedInputs.size());
    }
  // Shared memory: six stages of 32 KiB and two chunks a group, or five and four (H200: 227 KiB).
  plan.stagingChunks = !isStaged ? 0 : inputs ? 4 : 2;
  plan.stages = inputs ? 5 : 6;
  return plan;
}
