//===- GemmSplitK.cpp - The splitK schedule -------------------------------===//
#include "compiler/Conversion/KernelToCPU/GemmEmitter.h"

using namespace mlir;

namespace smelt {

void GemmEmitter::emitSplitK() {
  bool direct = !partialC;
  Value output = direct ? function.getMemory(op.getOutputs()[0]) : partialC;
  int64_t ld = direct ? plan.n : plan.strideC;
  std::unique_ptr<RowEmitter> rows;
  if (plan.finishTiles)
    rows = makeResultEmitter(getTileSource());
  Value slabA = scratchOrigin,
        slabB = plan.localPanels ? function.add(scratchOrigin, plan.scratchA) : Value();
  int64_t rowBlocks = plan.rowBlocks(), columnBlocks = plan.columnBlocks();

  int64_t items = rowBlocks * columnBlocks * plan.splits;
  function.emitSharedLoop(0, plan.groups * items, 1, [&](Value number) {
    Value group = function.index(0), item = number;
    if (plan.groups > 1) {
      group = arith::DivUIOp::create(b, number, function.index(items));
      item = arith::RemUIOp::create(b, number, function.index(items));
    }
    // The group's first row of A and B, and of C.
    Value kOrigin = function.mul(group, plan.k), first = function.mul(group, plan.m);
    Value split = arith::RemUIOp::create(b, item, function.index(plan.splits));
    Value tile = arith::DivUIOp::create(b, item, function.index(plan.splits));
    Value row0 =
        function.mul(arith::DivUIOp::create(b, tile, function.index(columnBlocks)), plan.blockM);
    Value panel0 = function.mul(arith::RemUIOp::create(b, tile, function.index(columnBlocks)),
                                plan.blockPanels);
    Value row1 = minimum(function.add(row0, plan.blockM), plan.m),
          panel1 = minimum(function.add(panel0, plan.blockPanels), plan.panels);
    Value kBegin = function.mul(split, plan.splitLength),
          kEnd = minimum(function.add(kBegin, plan.splitLength), plan.k);

    Value origin = function.add(function.mul(function.add(first, row0), ld),
                                function.mul(panel0, plan.panelWidth));
    if (!direct)
      origin = function.add(origin, function.mul(split, plan.rows() * ld));
    function.emitLoop(kBegin, kEnd, plan.blockK, [&](Value k0) {
      Value length = minimum(arith::SubIOp::create(b, kEnd, k0), plan.blockK);
      Value kRow = function.add(kOrigin, k0);
      emitPackSlabA(function, plan, operandA, kRow, length, row0, row1, scratch, slabA);
      MatrixView panelView{panels, {}, plan.panelWidth, 1};
      int64_t panelStride = plan.k * plan.panelWidth;
      if (plan.localPanels) {
        emitPackSlabB(function, plan, operandB, kRow, length, panel0, panel1, scratch, slabB);
        panelStride = plan.blockK * plan.panelWidth;
        panelView.memory = scratch;
        panelView.origin = slabB;
      } else {
        panelView.origin =
            function.add(function.mul(panel0, panelStride), function.mul(k0, plan.panelWidth));
        panelView.origin =
            function.add(panelView.origin, function.mul(group, plan.k * plan.paddedN));
      }
      Value overwrite;
      TileEnd tileEnd;
      if (rows)
        tileEnd = {rows.get(), function.add(first, row0), {}, {}};
      if (plan.splitLength > plan.blockK) {
        overwrite = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, k0, kBegin);
        tileEnd.last = isLast(k0, kEnd);
      }
      tileEnd.prefetch = [&](Value panel, Value row, Value step) {
        prefetchSlabs(kRow, row0, panel0, getTileNumber(panel, row), step);
      };
      // A's slab: tiles of tileRows rows, blockK steps each.
      MatrixView a{scratch, slabA, 1, plan.tileRows};
      emitPanels(
          arith::SubIOp::create(b, row1, row0), getRaggedRows(), panel0, panel1, length, a,
          plan.blockK, panelView, panelStride, MatrixView{output, origin, ld, 1}, direct, overwrite,
          [](Value, Value) {}, tileEnd);
    });
  });
  if (!direct && !plan.finishTiles)
    emitCombination();
}

void GemmEmitter::emitCombination() {
  Value output = plan.identityResult ? function.getMemory(op.getOutputs()[0]) : partialC;
  int64_t ld = plan.identityResult ? plan.n : plan.strideC;
  // An element-wise region adds up what it reads; others may read rows several times, and other
  // blocks' rows.
  if (plan.splits > 1 && !plan.elementwiseResult)
    function.emitSharedLoop(0, plan.rows(), 1, [&](Value row) {
      Value from = function.mul(row, plan.strideC), to = function.mul(row, ld);
      auto addVector = [&](Value column, int64_t valid) {
        storeVector(function, sumPartials(function.add(from, column)), output,
                    function.add(to, column), valid);
      };
      int64_t width = plan.identityResult ? plan.n : plan.paddedN, tail = width % plan.lanes;
      function.emitLoop(0, width - tail, plan.lanes,
                        [&](Value column) { addVector(column, plan.lanes); });
      if (tail)
        addVector(function.index(width - tail), tail);
    });
  if (plan.identityResult)
    return;
  RowSource accumulator{partialC, {}, plan.strideC, {}};
  if (plan.elementwiseResult && plan.splits > 1)
    accumulator.load = [this](OpBuilder &, Location, Value row, const FeatureChunk &chunk) {
      Value index = function.add(function.mul(row, plan.strideC), chunk.offset);
      if (chunk.dynamic)
        index = function.add(index, chunk.dynamic);
      return chunk.isScalar() ? sumScalars(index) : sumPartials(index);
    };
  auto rows = makeResultEmitter(accumulator);
  function.emitSharedLoop(0, plan.groups * plan.resultBlocks, 1, [&](Value item) {
    Value group = function.index(0), block = item;
    if (plan.groups > 1) {
      group = arith::DivUIOp::create(b, item, function.index(plan.resultBlocks));
      block = arith::RemUIOp::create(b, item, function.index(plan.resultBlocks));
    }
    Value begin = function.mul(block, plan.resultBlock);
    emitResult(*rows, group, begin, minimum(function.add(begin, plan.resultBlock), plan.m));
  });
}

Value GemmEmitter::sumPartials(Value index) {
  return sumParts(index, [&](Value at) { return loadVector(function, partialC, at, plan.lanes); });
}

Value GemmEmitter::sumScalars(Value index) {
  return sumParts(index,
                  [&](Value at) -> Value { return memref::LoadOp::create(b, partialC, at); });
}

Value GemmEmitter::sumParts(Value index, llvm::function_ref<Value(Value)> load) {
  Value sum = load(index);
  for (int64_t split = 1; split < plan.splits; ++split)
    sum = arith::AddFOp::create(b, sum, load(function.add(index, split * plan.rows() * plan.strideC)));
  return sum;
}

} // namespace smelt
