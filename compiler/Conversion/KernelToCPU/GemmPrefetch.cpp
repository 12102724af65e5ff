//===- GemmPrefetch.cpp - What tiles fetch ahead --------------------------===//
#include "compiler/Conversion/KernelToCPU/GemmEmitter.h"

using namespace mlir;

namespace smelt {

int64_t GemmEmitter::getTilesPerBlock() const {
  return llvm::divideCeil(plan.blockM, plan.tileRows) * plan.panelsPerGroup *
         llvm::divideCeil(plan.k, plan.blockK);
}

/// Elements of `memory` in a cache line.
static int64_t getLine(Value memory) {
  return 512 / cast<MemRefType>(memory.getType()).getElementTypeBitWidth();
}

Value GemmEmitter::getTileNumber(Value panel, Value row) {
  Value down = arith::DivUIOp::create(b, row, function.index(plan.tileRows));
  return function.add(function.mul(panel, llvm::divideCeil(plan.blockM, plan.tileRows)), down);
}

void GemmEmitter::prefetchShare(Value memory, Value start, int64_t elements, Value tile,
                                int64_t tiles) {
  constexpr int64_t mostLines = 32;
  int64_t line = getLine(memory),
          lines = std::min<int64_t>(mostLines, llvm::divideCeil(elements, line * tiles));
  prefetchLines(memory, function.add(start, function.mul(tile, lines * line)), lines);
}

void GemmEmitter::prefetchLines(Value memory, Value first, int64_t lines) {
  int64_t last = cast<MemRefType>(memory.getType()).getDimSize(0) - 1, size = getLine(memory);
  for (int64_t i = 0; i < lines; ++i)
    memref::PrefetchOp::create(b, memory, ValueRange{minimum(function.add(first, i * size), last)},
                               /*isWrite=*/false, /*localityHint=*/2u,
                               /*isDataCache=*/true);
}

void GemmEmitter::prefetchTile(Value memory, Value row, Value panel) {
  Value first = function.add(function.mul(row, plan.n), function.mul(panel, plan.panelWidth));
  for (int64_t i = 0; i < plan.tileRows; ++i)
    prefetchLines(memory, function.add(first, i * plan.n), plan.panelVectors);
}

void GemmEmitter::prefetchRows(Value begin, Value panel, Value row, Value tile) {
  auto prefetchBlock = [&](Value memory, const RowProgram &program, Value tensor,
                           int64_t distance) {
    int64_t features = program.getFeatures(tensor);
    if (distance == 0 && plan.columnGroups > 1)
      return features == plan.n ? prefetchTile(memory, function.add(begin, row), panel) : void();
    prefetchShare(memory, function.mul(function.add(begin, distance), features),
                  plan.blockM * features, tile, getTilesPerBlock());
  };
  auto prefetchInputs = [&](unsigned region, const RowProgram &program, int64_t distance) {
    unsigned leading = op.getNumLeadingArguments(region);
    for (auto [index, input] : llvm::enumerate(op.getRegionInputs(region)))
      if (program.isRowArgument(index + leading))
        prefetchBlock(function.getMemory(input), program,
                      program.getBlock().getArgument(index + leading), distance);
  };
  if (plan.identityA)
    prefetchShare(operandA, function.mul(function.add(begin, plan.blockM), plan.k),
                  plan.blockM * plan.k, tile, getTilesPerBlock());
  else
    prefetchInputs(0, plan.programA, plan.blockM);
  if (plan.identityResult)
    return;
  prefetchInputs(2, plan.programResult, 0);
  for (auto [output, yielded] :
       llvm::zip(op.getOutputs(), plan.programResult.getTerminator()->getOperands()))
    if (!plan.programResult.isTotal(yielded))
      prefetchBlock(function.getMemory(output), plan.programResult, yielded, 0);
}

void GemmEmitter::prefetchSlabs(Value k0, Value row0, Value panel0, Value tile, Value step) {
  Value turn = function.add(function.mul(tile, plan.blockK / 8),
                            arith::DivUIOp::create(b, step, function.index(8)));
  auto prefetchLine = [&](Value memory, Value number, int64_t width, int64_t stride, Value column) {
    int64_t size = getLine(memory), lines = llvm::divideCeil(width, size);
    Value row = arith::DivUIOp::create(b, number, function.index(lines)),
          line = arith::RemUIOp::create(b, number, function.index(lines));
    // Beyond the slab: its last row, which is there by then.
    row = minimum(function.add(k0, function.add(minimum(row, plan.blockK - 1), plan.blockK)),
                  plan.groups * plan.k - 1);
    prefetchLines(
        memory,
        function.add(function.add(function.mul(row, stride), column), function.mul(line, size)), 1);
  };
  prefetchLine(operandA, arith::DivUIOp::create(b, turn, function.index(2)),
               std::min(plan.blockM, plan.m), plan.m, row0);
  if (plan.localPanels)
    prefetchLine(operandB, turn, std::min(plan.blockPanels * plan.panelWidth, plan.n), plan.n,
                 function.mul(panel0, plan.panelWidth));
}

} // namespace smelt
