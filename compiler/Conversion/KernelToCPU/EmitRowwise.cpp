//===- EmitRowwise.cpp - kernel.rowwise -----------------------------------===//
// Threads share blocks of rows whose size depends on the shapes alone; sums over all rows are kept
// per block and added in the order of blocks, so the bits do not depend on the number of threads.
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "compiler/Conversion/KernelToCPU/RowEmitter.h"

using namespace mlir;

namespace smelt {
namespace {

struct RowwisePlan {
  RowwisePlan(kernel::RowwiseOp op, const CPUTarget &target)
      : program(op.getBody(), target.lanes, /*mayFlatten=*/true) {
    int64_t rows = program.getRows(), cost = std::max<int64_t>(program.getRowCost(), 1);
    groups = std::max<int64_t>(program.getGroups(), 1);
    rowsOfGroup = rows / groups;
    blockRows = std::clamp<int64_t>(std::max((rows + 63) / 64, (32768 + cost - 1) / cost), 1,
                                    rowsOfGroup);
    blocksOfGroup = (rowsOfGroup + blockRows - 1) / blockRows;
    blocks = groups * blocksOfGroup;
    hasRows = program.getPartialFloats() > 0 ||
              llvm::any_of(program.getTerminator()->getOperands(),
                           [&](Value value) { return !program.isTotal(value); });
  }
  int64_t workspaceBytes() const { return blocks * program.getPartialFloats() * 4; }

  RowProgram program;
  /// A block belongs to one group; without sums over groups there is one.
  int64_t groups, rowsOfGroup, blockRows, blocksOfGroup, blocks;
  bool hasRows;
};

} // namespace

int64_t getWorkspaceBytes(kernel::RowwiseOp op, const CPUTarget &target) {
  return RowwisePlan(op, target).workspaceBytes();
}

LogicalResult emitKernel(kernel::RowwiseOp op, KernelFunction &function) {
  RowwisePlan plan(op, function.getTarget());
  const RowProgram &program = plan.program;
  if (!program.whyNot().empty())
    return op.emitOpError("cannot be generated for the CPU: ") << program.whyNot();
  ImplicitLocOpBuilder &b = function.builder();
  SmallVector<RowSource> sources;
  SmallVector<RowSink> sinks;
  for (auto [input, argument] : llvm::zip(op.getInputs(), program.getBlock().getArguments()))
    sources.push_back({function.getMemory(input), {}, program.getFeatures(argument), {}});
  for (auto [output, value] : llvm::zip(op.getOutputs(), program.getTerminator()->getOperands()))
    sinks.push_back({function.getMemory(output), {}, program.getFeatures(value), {}});
  int64_t floats = program.getPartialFloats();
  Value partials;
  if (floats)
    partials = function.getWorkspace(0, plan.blocks * floats, b.getF32Type());

  auto emitBlock = [&](RowEmitter &emitter, Value block) {
    if (floats) {
      emitter.setPartials(partials, function.mul(block, floats));
      emitter.zeroPartials();
    }
    Value first = function.index(0), inGroup = block;
    if (plan.groups > 1) {
      Value group = arith::DivUIOp::create(b, block, function.index(plan.blocksOfGroup));
      first = function.mul(group, plan.rowsOfGroup);
      inGroup = arith::RemUIOp::create(b, block, function.index(plan.blocksOfGroup));
    }
    Value begin = function.mul(inGroup, plan.blockRows);
    Value end = arith::MinUIOp::create(b, function.add(begin, plan.blockRows),
                                       function.index(plan.rowsOfGroup));
    emitter.emitRows(function.add(first, begin), function.add(first, end));
  };
  if (plan.hasRows && plan.blocks == 1) {
    RowEmitter emitter(program, b, b.getLoc(), sources, sinks);
    emitBlock(emitter, function.index(0));
  } else if (plan.hasRows) {
    function.emitParallel(std::min(plan.blocks, maxThreadsPerKernel), [&](Value) {
      RowEmitter emitter(program, b, b.getLoc(), sources, sinks);
      function.emitSharedLoop(0, plan.blocks, 1,
                              [&](Value block) { emitBlock(emitter, block); });
    });
  }
  RowEmitter totals(program, b, b.getLoc(), sources, sinks);
  totals.storeTotals(partials, plan.blocks, floats);
  return success();
}

} // namespace smelt
