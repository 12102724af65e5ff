//===- GemmPlan.cpp - How a kernel.gemm runs on Hopper --------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/GemmPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SplitSums.h"
#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "compiler/Conversion/KernelToGPU/PlainProduct.h"
#include "dialects/Kernel/KernelAttributes.h"
#include "llvm/ADT/SetVector.h"
#include <set>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

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
  for (unsigned index : {0, 1})
    if (!findStoredOperand(op, index))
      return (Twine("operand ") + (index ? "b" : "a") + " is computed while it is loaded").str();
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
  for (unsigned index : {0, 1}) {
    const char *name = index ? "b" : "a";
    Value operand = findStoredOperand(op, index);
    auto kind = getOperandType(cast<RankedTensorType>(operand.getType()).getElementType());
    if (!kind)
      return (Twine("operand ") + name + " is neither bf16 nor fp8").str();
    auto type = index == 0 ? op.getAType() : op.getBType();
    if (type.getDimSize(1) * getBytes(*kind) % 16)
      return (Twine("rows of operand ") + name + " are no multiple of 16 bytes").str();
    if (emission.getAlignment(emission.getArgument(operand)) % 16)
      return (Twine("operand ") + name + " does not begin at a multiple of 16 bytes").str();
    bool isKMajor = index == 0 ? !op.getTransposeA() : op.getTransposeB();
    if (*kind != OperandType::BF16 && !isKMajor)
      return (Twine("fp8 operand ") + name + " is not K-major").str();
  }
  return "";
}

/// Inputs of the result region that `tensor` is computed from.
static void collectInputs(Value tensor, llvm::SmallSetVector<unsigned, 4> &inputs) {
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    if (argument.getArgNumber() > 0)
      inputs.insert(argument.getArgNumber() - 1);
    return;
  }
  for (Value operand : tensor.getDefiningOp()->getOperands())
    collectInputs(operand, inputs);
}

/// Whether an input of the region is read by lm.rope alone, as its table.
static bool isTable(BlockArgument input) {
  auto readsTable = [](Operation *user, Value value) {
    auto rope = dyn_cast<lm::RopeOp>(user);
    return rope && rope.getTable() == value && rope.getX() != value;
  };
  return llvm::all_of(input.getUsers(), [&](Operation *user) {
    auto cast = dyn_cast<lm::CastOp>(user);
    return readsTable(user, input) || (cast && llvm::all_of(cast->getUsers(), [&](Operation *next) {
                                         return readsTable(next, cast.getResult());
                                       }));
  });
}

/// The inputs of a range that can come through the staging area: bf16, read for outputs that are
/// all staged too. The first two: there is no room for more.
static std::vector<StagedInput> findStagedInputs(kernel::GemmOp op, const GPUEmission &emission,
                                                 const GemmPlan &plan, const GemmRange &range) {
  std::vector<StagedInput> result;
  if (llvm::none_of(range.outputs, [&](unsigned i) { return plan.outputs[i].isStaged; }))
    return {};
  for (unsigned number : range.outputs) {
    const GemmOutput &output = plan.outputs[number];
    if (!output.isStaged && !output.heads)
      return {};
    for (unsigned index : output.inputs) {
      auto input = op.getResult().front().getArgument(index + 1);
      auto type = cast<RankedTensorType>(input.getType());
      if (!type.getElementType().isBF16() || type.getRank() < 2 ||
          emission.getAlignment(emission.getArgument(op.getResultInputs()[index])) % 16 ||
          llvm::any_of(result, [&](const StagedInput &known) { return known.index == index; }))
        continue;
      if (isTable(input)) {
        if (plan.groups == 1 && type.getDimSize(0) == plan.m)
          result.push_back({index, output.columns, type.getDimSize(1)});
      } else if (type.getNumElements() == plan.groups * plan.m * output.columns.width &&
                 llvm::all_of(range.outputs, [&](unsigned other) {
                   return plan.outputs[other].columns == output.columns ||
                          !llvm::is_contained(plan.outputs[other].inputs, index);
                 })) {
        result.push_back({index, output.columns});
      }
    }
  }
  result.resize(std::min<size_t>(result.size(), 2));
  return result;
}

/// Moves what `isFirst` holds of before the rest, in the same order otherwise.
template <typename T, typename Predicate>
static void putFirst(std::vector<T> &list, Predicate isFirst) {
  std::vector<T> sorted;
  for (bool wanted : {true, false})
    for (const T &item : list)
      if (isFirst(item) == wanted)
        sorted.push_back(item);
  list = std::move(sorted);
}

/// Which inputs come through the staging area, and in which order outputs are stored. Returns the
/// most inputs of a tile.
static size_t stageInputs(kernel::GemmOp op, const GPUEmission &emission, GemmPlan &plan) {
  size_t most = 0;
  for (GemmRange &range : plan.ranges) {
    range.stagedInputs = findStagedInputs(op, emission, plan, range);
    most = std::max(most, range.stagedInputs.size());
    // Norms and rotations take the registers that the product would need for an output after them.
    range.isInputBeside = range.stagedInputs.size() == 1 && range.outputs.size() > 1 &&
                          range.stagedInputs[0].tableColumns;
    putFirst(range.outputs, [&](unsigned output) {
      bool reads = llvm::any_of(range.stagedInputs, [&](const StagedInput &input) {
        return llvm::is_contained(plan.outputs[output].inputs, input.index);
      });
      return reads != range.isInputBeside;
    });
  }
  return most;
}

/// Columns with the outputs that cover them, from left to right.
static std::vector<GemmRange> findRanges(const GemmPlan &plan) {
  std::set<int64_t> bounds;
  for (const GemmOutput &output : plan.outputs)
    if (!output.isBeside)
      bounds.insert({output.columns.offset, output.columns.offset + output.columns.width});
  std::vector<GemmRange> ranges;
  for (auto bound = bounds.begin(); std::next(bound) != bounds.end(); ++bound) {
    GemmRange range{{*bound, *std::next(bound) - *bound}, {}, {}, false};
    for (auto [index, output] : llvm::enumerate(plan.outputs))
      if (!output.isBeside && output.columns.overlaps(range.columns))
        range.outputs.push_back(index);
    if (!range.outputs.empty())
      ranges.push_back(std::move(range));
  }
  return ranges;
}

int64_t smelt::gpu::countHeads(Value output) {
  auto dot = output.getDefiningOp<lm::RowDotOp>();
  return dot && dot.getA().getType().getRank() == 3 ? dot.getResult().getType().getDimSize(1) : 0;
}

SmallVector<std::pair<Value, Value>> smelt::gpu::findBeside(ArrayRef<GemmOutput> outputs,
                                                            ArrayRef<Value> places) {
  SmallVector<std::pair<Value, Value>> beside;
  for (auto [output, place] : llvm::zip_equal(outputs, places))
    if (output.isBeside)
      beside.push_back({output.tensor, place});
  return beside;
}

GemmOutput smelt::gpu::describeOutput(kernel::GemmOp op, unsigned index,
                                      const GPUEmission &emission) {
  auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
  GemmOutput output;
  output.tensor = yield.getValues()[index];
  output.argument = emission.getArgument(op.getOutputs()[index]);
  output.element = cast<RankedTensorType>(output.tensor.getType()).getElementType();
  output.heads = countHeads(output.tensor);
  output.isBeside = FragmentRegion::isBeside(op, output.tensor);
  if (!output.isBeside)
    output.columns = *FragmentRegion::findColumns(op, output.tensor);
  output.isStaged = !output.isBeside && output.element.isBF16() && output.columns.width % 8 == 0 &&
                    emission.getAlignment(output.argument) % 16 == 0;
  return output;
}

GemmPlan GemmPlan::make(kernel::GemmOp op, const GPUEmission &emission) {
  GemmPlan plan;
  Value a = findStoredOperand(op, 0), b = findStoredOperand(op, 1);
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
  plan.isElementwise = !FragmentRegion::looksAcross(op);
  for (unsigned i = 0; i < op.getOutputs().size(); ++i) {
    GemmOutput output = describeOutput(op, i, emission);
    llvm::SmallSetVector<unsigned, 4> inputs;
    collectInputs(output.tensor, inputs);
    output.inputs.assign(inputs.begin(), inputs.end());
    plan.outputs.push_back(output);
  }
  int64_t blocks = (plan.k + plan.blockK() - 1) / plan.blockK();
  // A step takes 0.35 µs.
  plan.splits = chooseSplits(
      plan.tiles(), emission.getTarget().multiprocessors, blocks, plan.groups * plan.m * plan.n,
      {.fixedSteps = 6, .sumSteps = 10, .bytesPerStep = 1.4e6, .fewestSteps = 8});
  plan.blocksPerSplit = (blocks + plan.splits - 1) / plan.splits;
  plan.splits = (blocks + plan.blocksPerSplit - 1) / plan.blocksPerSplit; // No empty part.
  plan.isSymmetric = op->hasAttr(kernel::symmetricAttribute) && plan.splits == 1 &&
                     plan.outputs.size() == 1 && plan.outputs[0].isStaged;
  plan.ranges = findRanges(plan);
  bool isStaged = plan.splits == 1 && llvm::any_of(plan.outputs, [](const GemmOutput &output) {
                    return output.isStaged;
                  });
  size_t inputs = isStaged ? stageInputs(op, emission, plan) : 0;
  // Shared memory: six stages of 32 KiB and two chunks a group, or five and four (H200: 227 KiB).
  plan.stagingChunks = !isStaged ? 0 : inputs ? 4 : 2;
  plan.stages = inputs ? 5 : 6;
  return plan;
}
