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
    blockRows = std::clamp<int64_t>(std::max((rows + 63) / 64, (32768 + cost - 1) / cost), 1, rows);
    blocks = (rows + blockRows - 1) / blockRows;
    hasRows = program.getPartialFloats() > 0 ||
              llvm::any_of(program.getTerminator()->getOperands(),
                           [&](Value value) { return !program.isTotal(value); });
  }
  int64_t workspaceBytes() const { return blocks * program.getPartialFloats() * 4; }

  RowProgram program;
  int64_t blockRows, blocks;
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
  int64_t floats = program.getPartialFloats(), rows = program.getRows();
  Value partials;
  if (floats)
    partials = function.getWorkspace(0, plan.blocks * floats, b.getF32Type());

  auto emitBlock = [&](RowEmitter &emitter, Value begin) {
    if (floats) {
      Value block = arith::DivUIOp::create(b, begin, function.index(plan.blockRows));
      emitter.setPartials(partials, function.mul(block, floats));
      emitter.zeroPartials();
    }
    Value end =
        arith::MinUIOp::create(b, function.add(begin, plan.blockRows), function.index(rows));
    emitter.emitRows(begin, end);
  };
  if (plan.hasRows && plan.blocks == 1) {
    RowEmitter emitter(program, b, b.getLoc(), sources, sinks);
    emitBlock(emitter, function.index(0));
  } else if (plan.hasRows) {
    function.emitParallel(std::min(plan.blocks, maxThreadsPerKernel), [&](Value) {
      RowEmitter emitter(program, b, b.getLoc(), sources, sinks);
      function.emitSharedLoop(0, rows, plan.blockRows,
                              [&](Value begin) { emitBlock(emitter, begin); });
    });
  }
  RowEmitter totals(program, b, b.getLoc(), sources, sinks);
  totals.storeTotals(partials, plan.blocks, floats);
  return success();
}

} // namespace smelt
