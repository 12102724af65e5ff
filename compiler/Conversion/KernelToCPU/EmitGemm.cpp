//===- EmitGemm.cpp - kernel.gemm: operands, regions, result --------------===//
#include "compiler/Conversion/KernelToCPU/GemmEmitter.h"

using namespace mlir;

namespace smelt {

void GemmEmitter::emit() {
  if (plan.splitK && (plan.splits > 1 || !plan.identityResult) &&
      !(plan.finishTiles && plan.k <= plan.blockK))
    partialC = function.getWorkspace(plan.partialCOffset,
                                     plan.splits * plan.rows() * plan.strideC + plan.lanes, f32);
  if (plan.programResult.getPartialFloats())
    totals = function.getWorkspace(plan.totalsOffset,
                                   plan.groups * plan.resultBlocks *
                                       plan.programResult.getPartialFloats(),
                                   f32);
  if (!plan.localPanels)
    panels = function.getWorkspace(plan.panelsOffset, plan.groups * plan.k * plan.paddedN, f32);
  if (plan.scratchFloats())
    scratch = function.getWorkspace(plan.scratchOffset, plan.threads * plan.scratchFloats(), f32);
  operandA = getOperand(0, plan.identityA, plan.materialiseA, plan.operandAOffset,
                        plan.groups * plan.m * plan.k);
  operandB = getOperand(1, plan.identityB, plan.materialiseB, plan.operandBOffset,
                        plan.groups * plan.n * plan.k);

  function.emitParallel(plan.threads, [&](Value thread) {
    if (plan.scratchFloats())
      scratchOrigin = function.mul(thread, plan.scratchFloats());
    if (plan.materialiseA)
      materialise(0, plan.programA, operandA);
    if (plan.materialiseB)
      materialise(1, plan.programB, operandB);
    if (!plan.localPanels)
      emitPackAllPanels(function, plan, operandB, panels);
    if (plan.splitK)
      emitSplitK();
    else
      emitRows();
    if (plan.symmetric)
      forRowBlocks([&](Value group, Value begin, Value) {
        emitMirror(function, plan, function.getMemory(op.getOutputs()[0]),
                   function.mul(group, plan.m * plan.n), begin,
                   minimum(function.add(begin, plan.blockM), plan.m));
      });
  });
  if (plan.programResult.getPartialFloats())
    makeResultEmitter({})->storeTotals(totals, plan.groups * plan.resultBlocks,
                                       plan.programResult.getPartialFloats());
}

SmallVector<RowSource> GemmEmitter::getSources(unsigned region, const RowProgram &program,
                                               RowSource accumulator) {
  SmallVector<RowSource> sources;
  if (op.getNumLeadingArguments(region))
    sources.push_back(accumulator);
  for (Value input : op.getRegionInputs(region)) {
    BlockArgument argument = program.getBlock().getArgument(sources.size());
    sources.push_back({function.getMemory(input), {}, program.getFeatures(argument), {}});
  }
  return sources;
}

Value GemmEmitter::getOperand(unsigned region, bool identity, bool materialised, int64_t offset,
                              int64_t floats) {
  if (materialised)
    return function.getWorkspace(offset, floats, f32);
  if (!identity)
    return {};
  BlockArgument yielded = getLoadedArgument(getRegion(region));
  return function.getMemory(op.getRegionInputs(region)[yielded.getArgNumber()]);
}

void GemmEmitter::materialise(unsigned region, const RowProgram &program, Value memory) {
  Value result = program.getTerminator()->getOperand(0);
  RowSink sink{memory, {}, program.getFeatures(result), {}};
  RowEmitter rows(program, b, b.getLoc(), getSources(region, program, {}), sink);
  constexpr int64_t rowsPerTurn = 16;
  function.emitSharedLoop(0, program.getRows(), rowsPerTurn, [&](Value begin) {
    rows.emitRows(begin, minimum(function.add(begin, rowsPerTurn), program.getRows()));
  });
}

std::unique_ptr<RowEmitter> GemmEmitter::makeResultEmitter(RowSource accumulator) {
  SmallVector<RowSink> sinks;
  for (auto [output, yielded] :
       llvm::zip(op.getOutputs(), plan.programResult.getTerminator()->getOperands()))
    sinks.push_back({function.getMemory(output), {}, plan.programResult.getFeatures(yielded), {}});
  return std::make_unique<RowEmitter>(plan.programResult, b, b.getLoc(),
                                      getSources(2, plan.programResult, accumulator), sinks);
}

void GemmEmitter::emitResult(RowEmitter &rows, Value group, Value begin, Value end) {
  Value first = function.mul(group, plan.m);
  if (int64_t floats = plan.programResult.getPartialFloats()) {
    Value block = arith::DivUIOp::create(b, begin, function.index(plan.resultBlock));
    block = function.add(function.mul(group, plan.resultBlocks), block);
    rows.setPartials(totals, function.mul(block, floats));
    rows.zeroPartials();
  }
  rows.emitRows(function.add(first, begin), function.add(first, end));
}

LogicalResult emitKernel(kernel::GemmOp op, KernelFunction &function) {
  GemmPlan plan(op, function.getTarget());
  if (!plan.whyNot.empty())
    return op.emitOpError("cannot be generated for the CPU: ") << plan.whyNot;
  GemmEmitter(op, function, plan).emit();
  return success();
}

} // namespace smelt
