//===- WarpGemmPlan.cpp - How a kernel.gemm runs with mma.sync ------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpGemmPlan.h"
#include "compiler/Conversion/KernelToGPU/GPURegion.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SplitSums.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

std::string WarpGemmPlan::whyNot(kernel::GemmOp op) {
  for (unsigned index : {0, 1})
    if (std::string why = WarpOperand::whyNot(op, index); !why.empty())
      return why;
  if (op.getN() % 2)
    return "rows of the product are odd";
  if (FragmentRegion::whyNot(op).empty())
    return "";
  return GPUResultRegion(cast<kernel::KernelOpInterface>(op.getOperation()), 2, op.getOutputs())
      .whyNot();
}

WarpGemmPlan WarpGemmPlan::make(kernel::GemmOp op, GPUEmission &emission) {
  WarpGemmPlan plan;
  plan.groups = op.getGroups();
  plan.m = op.getM();
  plan.n = op.getN();
  plan.k = op.getK();
  plan.a = WarpOperand::make(op, 0, emission);
  plan.b = WarpOperand::make(op, 1, emission);
  // Two blocks a multiprocessor; a step takes 0.7 µs.
  plan.splits =
      chooseSplits(plan.tiles(), 2 * emission.getTarget().multiprocessors, plan.blocks(),
                   plan.groups * plan.m * plan.n,
                   {.fixedSteps = 12, .sumSteps = 6, .bytesPerStep = 1.1e6, .fewestSteps = 16});
  plan.blocksPerSplit = llvm::divideCeil(plan.blocks(), plan.splits);
  plan.splits = llvm::divideCeil(plan.blocks(), plan.blocksPerSplit); // No empty part.
  if (!FragmentRegion::whyNot(op).empty())
    return plan;
  for (unsigned i = 0; i < op.getOutputs().size(); ++i) {
    GemmOutput output = describeOutput(op, i, emission);
    if (output.isBeside) {
      plan.outputs.push_back(output);
      continue;
    }
    auto range = llvm::find_if(
        plan.ranges, [&](const GemmRange &known) { return known.columns == output.columns; });
    if (range == plan.ranges.end())
      range = plan.ranges.insert(range, GemmRange{output.columns, {}, {}, false});
    range->outputs.push_back(plan.outputs.size());
    plan.outputs.push_back(output);
  }
  return plan;
}
