//===- GemmRows.cpp - The rows schedule -----------------------------------===//
#include "compiler/Conversion/KernelToCPU/GemmEmitter.h"

using namespace mlir;

namespace smelt {

Value GemmEmitter::getScratchIndex(Value origin, Value low, Value row, int64_t rowStride,
                                   const FeatureChunk &chunk) {
  Value local = arith::SubIOp::create(b, row, low);
  Value index = function.add(function.add(origin, function.mul(local, rowStride)), chunk.offset);
  return chunk.dynamic ? function.add(index, chunk.dynamic) : index;
}

Value GemmEmitter::loadChunk(Value index, const FeatureChunk &chunk) {
  if (chunk.isScalar())
    return memref::LoadOp::create(b, scratch, index);
  return loadVector(function, scratch, index, plan.lanes); // Scratch ends in a vector of padding.
}

void GemmEmitter::storeChunk(Value index, const FeatureChunk &chunk, Value value) {
  if (chunk.isScalar())
    memref::StoreOp::create(b, value, scratch, index);
  else
    storeVector(function, value, scratch, index, chunk.lanes);
}

void GemmEmitter::copyRows(Value from, Value count, Value length, Value scratchA) {
  function.emitLoop(function.index(0), count, 1, [&](Value row) {
    Value source = function.add(from, function.mul(row, plan.k)),
          target = function.add(scratchA, function.mul(row, plan.strideA));
    Value whole = arith::SubIOp::create(
        b, length, arith::RemUIOp::create(b, length, function.index(plan.lanes)));
    function.emitLoop(function.index(0), whole, plan.lanes, [&](Value column) {
      Value value = loadVector(function, operandA, function.add(source, column), plan.lanes);
      storeVector(function, value, scratch, function.add(target, column), plan.lanes);
    });
    function.emitLoop(whole, length, 4, [&](Value column) {
      Value value = vector::LoadOp::create(b, VectorType::get({4}, f32), operandA,
                                           function.add(source, column));
      vector::StoreOp::create(b, value, scratch, function.add(target, column));
    });
  });
}

void GemmEmitter::emitRows() {
  int64_t before = plan.reach.before, after = plan.reach.after;
  bool halo = before || after;
  Value scratchA = scratchOrigin, scratchC = scratchOrigin;
  if (!plan.scratchC)
    scratchC = function.index(0); // Every tile goes through the result region at once.
  else if (plan.scratchA)
    scratchC = function.add(scratchOrigin, plan.scratchA);
  // Constructed here so that what all rows share, stack memory included, stays out of the loop.
  // The rows of a block lie in scratch from `low` on, a value of the loop: only the code that
  // moves rows sees it.
  Value low;
  std::unique_ptr<RowEmitter> rowsA, rowsC;
  if (!plan.identityA)
    rowsA = std::make_unique<RowEmitter>(
        plan.programA, b, b.getLoc(), getSources(0, plan.programA, {}),
        RowSink{{},
                {},
                plan.strideA,
                [&](OpBuilder &, Location, Value row, const FeatureChunk &chunk, Value value) {
                  storeChunk(getScratchIndex(scratchA, low, row, plan.strideA, chunk), chunk,
                             value);
                }});
  if (plan.finishTiles)
    rowsC = makeResultEmitter(getTileSource());
  else if (!plan.identityResult)
    rowsC = makeResultEmitter(
        {{}, {}, plan.strideC, [&](OpBuilder &, Location, Value row, const FeatureChunk &chunk) {
           return loadChunk(getScratchIndex(scratchC, low, row, plan.strideC, chunk), chunk);
         }});

  forRowBlocks([&](Value group, Value begin, Value panel0) {
    Value end = plan.m % plan.blockM ? minimum(function.add(begin, plan.blockM), plan.m)
                                     : function.add(begin, plan.blockM);
    // Of all rows, groups together; a region that reaches beyond a block has one group.
    Value first = function.mul(group, plan.m);
    Value row0 = function.add(first, begin), high = function.add(first, end);
    low = row0;
    if (before)
      low = arith::MaxSIOp::create(b, function.add(begin, -before), function.index(0));
    if (after)
      high = minimum(function.add(end, after), plan.m);
    Value count = arith::SubIOp::create(b, high, low);

    MatrixView a{operandA, {}, plan.k, 1};
    if (plan.identityA) {
      a.origin = function.mul(low, plan.k);
    } else {
      a = {scratch, scratchA, plan.strideA, 1};
      rowsA->emitRows(low, high);
    }
    Value panel1 = plan.columnGroups > 1 ? function.add(panel0, plan.panelsPerGroup)
                                         : function.index(plan.panels);
    MatrixView c{scratch, scratchC, plan.strideC, 1};
    if (plan.identityResult)
      c = {function.getMemory(op.getOutputs()[0]),
           function.add(function.mul(row0, plan.n), function.mul(panel0, plan.panelWidth)), plan.n,
           1};
    function.emitLoop(0, plan.k, plan.blockK, [&](Value k0) {
      Value length = minimum(arith::SubIOp::create(b, function.index(plan.k), k0), plan.blockK);
      Value origin = function.add(function.mul(group, plan.k * plan.paddedN),
                                  function.mul(k0, plan.panelWidth));
      MatrixView aHere = a, panelView{panels, origin, plan.panelWidth, 1};
      panelView.origin =
          function.add(panelView.origin, function.mul(panel0, plan.k * plan.panelWidth));
      if (plan.copyA) {
        copyRows(function.add(a.origin, k0), count, length, scratchA);
        aHere = {scratch, scratchA, plan.strideA, 1};
      } else {
        aHere.origin = function.add(a.origin, k0);
      }
      Value overwrite;
      TileEnd tileEnd;
      if (plan.finishTiles)
        tileEnd = {rowsC.get(), row0, {}, {}};
      if (plan.k > plan.blockK) {
        overwrite = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, k0, function.index(0));
        tileEnd.last = isLast(k0, function.index(plan.k));
      }
      auto prefetch = [&](Value panel, Value row) {
        Value pass = arith::DivUIOp::create(b, k0, function.index(plan.blockK));
        Value local = arith::SubIOp::create(b, panel, panel0);
        prefetchRows(
            row0, panel, row,
            getTileNumber(function.add(function.mul(pass, plan.panelsPerGroup), local), row));
      };
      emitPanels(count, halo ? 0 : getRaggedRows(), panel0, panel1, length, aHere, aHere.rowStride,
                 panelView, plan.k * plan.panelWidth, c, plan.identityResult, overwrite, prefetch,
                 tileEnd);
    });
    if (!plan.identityResult && !plan.finishTiles)
      emitResult(*rowsC, group, begin, end);
  });
}

void GemmEmitter::forRowBlocks(
    llvm::function_ref<void(Value group, Value begin, Value panel0)> body) {
  // Groups, or groups of columns, one after the other: two threads take one each.
  int64_t parts = std::max(plan.groups, plan.columnGroups);
  function.emitSharedLoop(0, parts * plan.rowBlocks(), 1, [&](Value item) {
    Value part = arith::DivUIOp::create(b, item, function.index(plan.rowBlocks())),
          turn = arith::RemUIOp::create(b, item, function.index(plan.rowBlocks())),
          none = function.index(0);
    if (!plan.symmetric) {
      Value begin = function.mul(turn, plan.blockM);
      if (plan.groups > 1)
        return body(part, begin, none);
      return body(none, begin, function.mul(part, plan.panelsPerGroup));
    }
    Value half = arith::DivUIOp::create(b, turn, function.index(2));
    Value odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                      arith::RemUIOp::create(b, turn, function.index(2)),
                                      function.index(0));
    Value fromEnd = arith::SubIOp::create(b, function.index(plan.rowBlocks() - 1), half);
    Value begin = function.mul(arith::SelectOp::create(b, odd, fromEnd, half), plan.blockM);
    body(part, begin, arith::DivUIOp::create(b, begin, function.index(plan.panelWidth)));
  });
}

} // namespace smelt
