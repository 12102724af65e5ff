//===- EmitGemm.cpp - kernel.gemm -------------------------------------------===//
// The schedules are described in README.md; GemmPlan chooses, GemmPack and GemmTile do the work, this file puts them together.
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "compiler/Conversion/KernelToCPU/GemmPack.h"
#include "compiler/Conversion/KernelToCPU/GemmPlan.h"
#include "compiler/Conversion/KernelToCPU/GemmTile.h"
#include "compiler/Conversion/KernelToCPU/RowEmitter.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace smelt {
namespace {

/// The result region applied to tiles: by `rows`, when `last` (i1; null: always) holds; the tile's row 0 is `firstRow` of the result.
struct TileEnd {
  RowEmitter *rows = nullptr;
  Value firstRow, last;
  /// Called with the tile's panel and row within the block, and every eighth step of K, inside the tile's loop.
  std::function<void(Value panel, Value row, Value step)> prefetch;
};

class GemmEmitter {
public:
  GemmEmitter(kernel::GemmOp op, KernelFunction &function, const GemmPlan &plan)
      : op(op), function(function), b(function.builder()), plan(plan), f32(function.builder().getF32Type()) {}

  void emit() {
    if (plan.splitK && (plan.splits > 1 || !plan.identityResult) && !(plan.finishTiles && plan.k <= plan.blockK))
      partialC = function.getWorkspace(plan.partialCOffset, plan.splits * plan.m * plan.strideC + plan.lanes, f32);
    if (plan.programResult.getPartialFloats())
      totals = function.getWorkspace(plan.totalsOffset, plan.resultBlocks * plan.programResult.getPartialFloats(), f32);
    if (!plan.localPanels)
      panels = function.getWorkspace(plan.panelsOffset, plan.k * plan.paddedN, f32);
    if (plan.scratchFloats())
      scratch = function.getWorkspace(plan.scratchOffset, plan.threads * plan.scratchFloats(), f32);
    operandA = getOperand(0, plan.identityA, plan.materialiseA, plan.operandAOffset, plan.m * plan.k);
    operandB = getOperand(1, plan.identityB, plan.materialiseB, plan.operandBOffset, plan.n * plan.k);

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
        forRowBlocks([&](Value begin) {
          emitMirror(function, plan, function.getMemory(op.getOutputs()[0]), begin, minimum(function.add(begin, plan.blockM), plan.m));
        });
    });
    if (plan.programResult.getPartialFloats())
      makeResultEmitter({})->storeTotals(totals, plan.resultBlocks, plan.programResult.getPartialFloats());
  }

private:
  //===- Regions ------------------------------------------------------------===//

  Region &getRegion(unsigned index) { return op->getRegion(index); }

  SmallVector<RowSource> getSources(unsigned region, const RowProgram &program, RowSource accumulator) {
    SmallVector<RowSource> sources;
    if (op.getNumLeadingArguments(region))
      sources.push_back(accumulator);
    for (Value input : op.getRegionInputs(region)) {
      BlockArgument argument = program.getBlock().getArgument(sources.size());
      sources.push_back({function.getMemory(input), {}, program.getFeatures(argument), {}});
    }
    return sources;
  }

  /// The flat memory of op(A) or op(B) as stored; null if its rows are evaluated block by block.
  Value getOperand(unsigned region, bool identity, bool materialised, int64_t offset, int64_t floats) {
    if (materialised)
      return function.getWorkspace(offset, floats, f32);
    if (!identity)
      return {};
    auto yielded = cast<BlockArgument>(getRegion(region).front().getTerminator()->getOperand(0));
    return function.getMemory(op.getRegionInputs(region)[yielded.getArgNumber()]);
  }

  /// Evaluates all rows of a region into `memory`.
  void materialise(unsigned region, const RowProgram &program, Value memory) {
    Value result = program.getTerminator()->getOperand(0);
    RowSink sink{memory, {}, program.getFeatures(result), {}};
    RowEmitter rows(program, b, b.getLoc(), getSources(region, program, {}), sink);
    constexpr int64_t rowsPerTurn = 16;
    function.emitSharedLoop(0, program.getRows(), rowsPerTurn, [&](Value begin) {
      rows.emitRows(begin, minimum(function.add(begin, rowsPerTurn), program.getRows()));
    });
  }

  std::unique_ptr<RowEmitter> makeResultEmitter(RowSource accumulator) {
    SmallVector<RowSink> sinks;
    for (auto [output, yielded] : llvm::zip(op.getOutputs(), plan.programResult.getTerminator()->getOperands()))
      sinks.push_back({function.getMemory(output), {}, plan.programResult.getFeatures(yielded), {}});
    return std::make_unique<RowEmitter>(plan.programResult, b, b.getLoc(), getSources(2, plan.programResult, accumulator), sinks);
  }

  /// The result region on rows [begin, end), which are block `block`.
  void emitResult(RowEmitter &rows, Value begin, Value end) {
    if (int64_t floats = plan.programResult.getPartialFloats()) {
      Value block = arith::DivUIOp::create(b, begin, function.index(plan.resultBlock));
      rows.setPartials(totals, function.mul(block, floats));
      rows.zeroPartials();
    }
    rows.emitRows(begin, end);
  }

  /// Index in scratch of a chunk's first feature, for rows from `low` on that start at `origin`.
  Value getScratchIndex(Value origin, Value low, Value row, int64_t rowStride, const FeatureChunk &chunk) {
    Value local = arith::SubIOp::create(b, row, low);
    Value index = function.add(function.add(origin, function.mul(local, rowStride)), chunk.offset);
    return chunk.dynamic ? function.add(index, chunk.dynamic) : index;
  }
  Value loadChunk(Value index, const FeatureChunk &chunk) {
    if (chunk.isScalar())
      return memref::LoadOp::create(b, scratch, index);
    return loadVector(function, scratch, index, plan.lanes); // Scratch ends in a vector of padding.
  }
  void storeChunk(Value index, const FeatureChunk &chunk, Value value) {
    if (chunk.isScalar())
      memref::StoreOp::create(b, value, scratch, index);
    else
      storeVector(function, value, scratch, index, chunk.lanes);
  }

  void setFinish(GemmTile &tile, const TileEnd &end, Value panel, bool whole, Value row) {
    tile.last = end.last;
    tile.finish = [=, this, rows = end.rows](int64_t i, int64_t j, Value sum) {
      int64_t offset = j * plan.lanes, raggedFirst = (plan.panels - 1) * plan.panelWidth + offset;
      if (!whole && raggedFirst >= plan.n)
        return;
      FeatureChunk chunk = whole ? FeatureChunk::at(function.mul(panel, plan.panelWidth), plan.panelWidth, offset, offset, plan.n, plan.lanes)
                                 : FeatureChunk::at(raggedFirst, std::min(plan.lanes, plan.n - raggedFirst));
      rows->startRow();
      tileSum = sum;
      rows->emitChunk(function.add(row, i), chunk);
      tileSum = {};
    };
  }
  /// The accumulator of emitters that setFinish uses.
  RowSource getTileSource() {
    return {{}, {}, plan.n, [this](OpBuilder &, Location, Value, const FeatureChunk &) { return tileSum; }};
  }

  //===- The product --------------------------------------------------------===//

  /// Rows [0, rows) of C at `c`, panels [panel0, panel1), `length` steps of K. `ragged`: rows % tileRows if not 0; 0 if unknown.
  void emitPanels(Value rows, int64_t ragged, Value panel0, Value panel1, Value length, MatrixView a, int64_t aTileStride, MatrixView b0,
                  int64_t bPanelStride, MatrixView c, bool maskC, Value overwrite, llvm::function_ref<void(Value panel, Value row)> beforeTile, const TileEnd &end) {
    int64_t lengthMultiple = plan.splitK && plan.k % 8 == 0 ? 8 : plan.k % 4 == 0 ? 4 : 1;
    auto emitTile = [&](Value panel, int64_t columns, bool whole, Value row, int64_t tileRows) {
      GemmTile tile;
      tile.rows = tileRows;
      tile.columns = columns;
      tile.length = length;
      tile.lengthMultiple = lengthMultiple;
      tile.a = a;
      tile.a.origin = function.add(a.origin, function.mul(row, aTileStride));
      Value local = arith::SubIOp::create(b, panel, panel0);
      tile.b = b0;
      tile.b.origin = function.add(b0.origin, function.mul(local, bPanelStride));
      tile.c = c;
      tile.c.origin = function.add(function.add(c.origin, function.mul(row, c.rowStride)), function.mul(local, plan.panelWidth));
      tile.overwrite = overwrite;
      if (end.rows)
        setFinish(tile, end, panel, whole, function.add(end.firstRow, row));
      beforeTile(panel, row);
      if (end.prefetch)
        tile.everyEightSteps = [&](Value step) { end.prefetch(local, row, step); };
      emitGemmTile(function, tile);
    };
    auto emitPanel = [&](Value panel, int64_t columns, bool whole) {
      Value rest = arith::RemUIOp::create(b, rows, function.index(plan.tileRows));
      Value wholeRows = arith::SubIOp::create(b, rows, rest);
      function.emitLoop(function.index(0), wholeRows, plan.tileRows, [&](Value row) { emitTile(panel, columns, whole, row, plan.tileRows); });
      if (ragged >= 0)
        function.emitLoop(wholeRows, rows, std::max<int64_t>(ragged, 1), [&](Value row) { emitTile(panel, columns, whole, row, std::max<int64_t>(ragged, 1)); });
    };
    // Columns of the last panel: what C has, or with a padded C whole vectors.
    int64_t last = plan.n - (plan.panels - 1) * plan.panelWidth;
    if (!maskC)
      last = llvm::alignTo(last, plan.lanes);
    // A result region must see which columns exist, even where C is padded to a whole panel.
    if (last == plan.panelWidth && (!end.rows || plan.n % plan.panelWidth == 0)) {
      function.emitLoop(panel0, panel1, 1, [&](Value panel) { emitPanel(panel, plan.panelWidth, /*whole=*/true); });
      return;
    }
    Value full = function.index(plan.panels - 1);
    function.emitLoop(panel0, minimum(panel1, full), 1, [&](Value panel) { emitPanel(panel, plan.panelWidth, /*whole=*/true); });
    function.emitLoop(arith::MaxSIOp::create(b, panel0, full), panel1, 1, [&](Value panel) { emitPanel(panel, last, /*whole=*/false); });
  }

  /// Copies `length` columns (a multiple of 4) of `count` rows of A from `from` on to scratch.
  void copyRows(Value from, Value count, Value length, Value scratchA) {
    function.emitLoop(function.index(0), count, 1, [&](Value row) {
      Value source = function.add(from, function.mul(row, plan.k)), target = function.add(scratchA, function.mul(row, plan.strideA));
      Value whole = arith::SubIOp::create(b, length, arith::RemUIOp::create(b, length, function.index(plan.lanes)));
      function.emitLoop(function.index(0), whole, plan.lanes, [&](Value column) {
        Value value = loadVector(function, operandA, function.add(source, column), plan.lanes);
        storeVector(function, value, scratch, function.add(target, column), plan.lanes);
      });
      function.emitLoop(whole, length, 4, [&](Value column) {
        Value value = vector::LoadOp::create(b, VectorType::get({4}, f32), operandA, function.add(source, column));
        vector::StoreOp::create(b, value, scratch, function.add(target, column));
      });
    });
  }

  //===- Prefetching --------------------------------------------------------===//
  // While tiles are computed, each asks for its share of the memory that the code between tiles will want, so that this code does not
  // wait for it: processors fetch ahead within a page and a stream, but not across the jumps from block to block.

  /// Number of tiles that a block of the rows schedule computes.
  int64_t getTilesPerBlock() const { return llvm::divideCeil(plan.blockM, plan.tileRows) * plan.panels * llvm::divideCeil(plan.k, plan.blockK); }

  Value getTileNumber(Value panel, Value row) {
    Value down = arith::DivUIOp::create(b, row, function.index(plan.tileRows));
    return function.add(function.mul(panel, llvm::divideCeil(plan.blockM, plan.tileRows)), down);
  }

  /// Share `tile` of `tiles` of the `floats` floats at memory[start].
  void prefetchShare(Value memory, Value start, int64_t floats, Value tile, int64_t tiles) {
    constexpr int64_t line = 16, mostLines = 32;
    int64_t lines = std::min<int64_t>(mostLines, llvm::divideCeil(floats, line * tiles));
    prefetchLines(memory, function.add(start, function.mul(tile, lines * line)), lines);
  }
  void prefetchLines(Value memory, Value first, int64_t lines) {
    int64_t last = cast<MemRefType>(memory.getType()).getDimSize(0) - 1;
    for (int64_t i = 0; i < lines; ++i)
      memref::PrefetchOp::create(b, memory, ValueRange{minimum(function.add(first, i * 16), last)}, /*isWrite=*/false, /*localityHint=*/2u,
                                 /*isDataCache=*/true);
  }

  /// For the block of rows from `begin` on: what its result region reads and writes, and what the next block's region a reads.
  void prefetchRows(Value begin, Value tile) {
    auto prefetchBlock = [&](Value memory, const RowProgram &program, Value tensor, int64_t distance) {
      int64_t features = program.getFeatures(tensor);
      prefetchShare(memory, function.mul(function.add(begin, distance), features), plan.blockM * features, tile, getTilesPerBlock());
    };
    auto prefetchInputs = [&](unsigned region, const RowProgram &program, int64_t distance) {
      unsigned leading = op.getNumLeadingArguments(region);
      for (auto [index, input] : llvm::enumerate(op.getRegionInputs(region)))
        if (program.isRowArgument(index + leading))
          prefetchBlock(function.getMemory(input), program, program.getBlock().getArgument(index + leading), distance);
    };
    if (plan.identityA)
      prefetchShare(operandA, function.mul(function.add(begin, plan.blockM), plan.k), plan.blockM * plan.k, tile, getTilesPerBlock());
    else
      prefetchInputs(0, plan.programA, plan.blockM);
    if (plan.identityResult)
      return;
    prefetchInputs(2, plan.programResult, 0);
    for (auto [output, yielded] : llvm::zip(op.getOutputs(), plan.programResult.getTerminator()->getOperands()))
      if (!plan.programResult.isTotal(yielded))
        prefetchBlock(function.getMemory(output), plan.programResult, yielded, 0);
  }

  /// For an item of the splitK schedule: a line of the next slab of B, and for every other call one of A. They are spread over the tiles'
  /// loops, because a burst of them would hold up the tiles' own loads (seen: −10 %).
  void prefetchSlabs(Value k0, Value row0, Value panel0, Value tile, Value step) {
    Value turn = function.add(function.mul(tile, plan.blockK / 8), arith::DivUIOp::create(b, step, function.index(8)));
    auto prefetchLine = [&](Value memory, Value number, int64_t width, int64_t stride, Value column) {
      int64_t lines = llvm::divideCeil(width, 16);
      Value row = arith::DivUIOp::create(b, number, function.index(lines)), line = arith::RemUIOp::create(b, number, function.index(lines));
      // Beyond the slab: its last row, which is there by then.
      row = minimum(function.add(k0, function.add(minimum(row, plan.blockK - 1), plan.blockK)), plan.k - 1);
      prefetchLines(memory, function.add(function.add(function.mul(row, stride), column), function.mul(line, 16)), 1);
    };
    prefetchLine(operandA, arith::DivUIOp::create(b, turn, function.index(2)), std::min(plan.blockM, plan.m), plan.m, row0);
    if (plan.localPanels)
      prefetchLine(operandB, turn, std::min(plan.blockPanels * plan.panelWidth, plan.n), plan.n, function.mul(panel0, plan.panelWidth));
  }

  /// What emitPanels wants as `ragged` for blocks of C whose rows end at m; -1 if there is no remainder.
  int64_t getRaggedRows() const { return plan.m % plan.tileRows ? plan.m % plan.tileRows : -1; }

  void emitRows() {
    int64_t before = plan.reach.before, after = plan.reach.after;
    bool halo = before || after;
    Value scratchA = scratchOrigin, scratchC = scratchOrigin;
    if (!plan.scratchC)
      scratchC = function.index(0); // Every tile goes through the result region at once.
    else if (plan.scratchA)
      scratchC = function.add(scratchOrigin, plan.scratchA);
    // Constructed here so that what all rows share, stack memory included, stays out of the loop. The rows of a block lie in scratch
    // from `low` on, a value of the loop: only the code that moves rows sees it.
    Value low;
    std::unique_ptr<RowEmitter> rowsA, rowsC;
    if (!plan.identityA)
      rowsA = std::make_unique<RowEmitter>(plan.programA, b, b.getLoc(), getSources(0, plan.programA, {}),
                                           RowSink{{}, {}, plan.strideA, [&](OpBuilder &, Location, Value row, const FeatureChunk &chunk, Value value) {
                                                     storeChunk(getScratchIndex(scratchA, low, row, plan.strideA, chunk), chunk, value);
                                                   }});
    if (plan.finishTiles)
      rowsC = makeResultEmitter(getTileSource());
    else if (!plan.identityResult)
      rowsC = makeResultEmitter({{}, {}, plan.strideC, [&](OpBuilder &, Location, Value row, const FeatureChunk &chunk) {
                                   return loadChunk(getScratchIndex(scratchC, low, row, plan.strideC, chunk), chunk);
                                 }});

    forRowBlocks([&](Value begin) {
      Value end = plan.m % plan.blockM ? minimum(function.add(begin, plan.blockM), plan.m) : function.add(begin, plan.blockM);
      Value high = end;
      low = begin;
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
      MatrixView c{scratch, scratchC, plan.strideC, 1};
      if (plan.identityResult)
        c = {function.getMemory(op.getOutputs()[0]), function.add(function.mul(begin, plan.n), plan.symmetric ? begin : function.index(0)), plan.n, 1};
      function.emitLoop(0, plan.k, plan.blockK, [&](Value k0) {
        Value length = minimum(arith::SubIOp::create(b, function.index(plan.k), k0), plan.blockK);
        MatrixView aHere = a, panelView{panels, function.mul(k0, plan.panelWidth), plan.panelWidth, 1};
        Value panel0 = function.index(0);
        if (plan.symmetric) {
          panel0 = arith::DivUIOp::create(b, begin, function.index(plan.panelWidth));
          panelView.origin = function.add(panelView.origin, function.mul(panel0, plan.k * plan.panelWidth));
        }
        if (plan.copyA) {
          copyRows(function.add(a.origin, k0), count, length, scratchA);
          aHere = {scratch, scratchA, plan.strideA, 1};
        } else {
          aHere.origin = function.add(a.origin, k0);
        }
        Value overwrite;
        TileEnd tileEnd;
        if (plan.finishTiles)
          tileEnd = {rowsC.get(), begin, {}, {}};
        if (plan.k > plan.blockK) {
          overwrite = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, k0, function.index(0));
          tileEnd.last = isLast(k0, function.index(plan.k));
        }
        auto prefetch = [&](Value panel, Value row) {
          Value pass = arith::DivUIOp::create(b, k0, function.index(plan.blockK));
          prefetchRows(begin, getTileNumber(function.add(function.mul(pass, plan.panels), panel), row));
        };
        emitPanels(count, halo ? 0 : getRaggedRows(), panel0, function.index(plan.panels), length, aHere, aHere.rowStride, panelView,
                   plan.k * plan.panelWidth, c, plan.identityResult, overwrite, prefetch, tileEnd);
      });
      if (!plan.identityResult && !plan.finishTiles)
        emitResult(*rowsC, begin, end);
    });
  }

  /// Shares the blocks of rows among the threads. With a symmetric C, the first blocks have the most to do: they alternate with the last.
  void forRowBlocks(llvm::function_ref<void(Value begin)> body) {
    if (!plan.symmetric)
      return function.emitSharedLoop(0, plan.m, plan.blockM, body);
    function.emitSharedLoop(0, plan.rowBlocks(), 1, [&](Value turn) {
      Value half = arith::DivUIOp::create(b, turn, function.index(2));
      Value odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::RemUIOp::create(b, turn, function.index(2)), function.index(0));
      Value fromEnd = arith::SubIOp::create(b, function.index(plan.rowBlocks() - 1), half);
      body(function.mul(arith::SelectOp::create(b, odd, fromEnd, half), plan.blockM));
    });
  }

  void emitSplitK() {
    bool direct = !partialC;
    Value output = direct ? function.getMemory(op.getOutputs()[0]) : partialC;
    int64_t ld = direct ? plan.n : plan.strideC;
    std::unique_ptr<RowEmitter> rows;
    if (plan.finishTiles)
      rows = makeResultEmitter(getTileSource());
    Value slabA = scratchOrigin, slabB = plan.localPanels ? function.add(scratchOrigin, plan.scratchA) : Value();
    int64_t rowBlocks = plan.rowBlocks(), columnBlocks = plan.columnBlocks();

    function.emitSharedLoop(0, rowBlocks * columnBlocks * plan.splits, 1, [&](Value item) {
      Value split = arith::RemUIOp::create(b, item, function.index(plan.splits));
      Value tile = arith::DivUIOp::create(b, item, function.index(plan.splits));
      Value row0 = function.mul(arith::DivUIOp::create(b, tile, function.index(columnBlocks)), plan.blockM);
      Value panel0 = function.mul(arith::RemUIOp::create(b, tile, function.index(columnBlocks)), plan.blockPanels);
      Value row1 = minimum(function.add(row0, plan.blockM), plan.m), panel1 = minimum(function.add(panel0, plan.blockPanels), plan.panels);
      Value kBegin = function.mul(split, plan.splitLength), kEnd = minimum(function.add(kBegin, plan.splitLength), plan.k);

      Value origin = function.add(function.mul(row0, ld), function.mul(panel0, plan.panelWidth));
      if (!direct)
        origin = function.add(origin, function.mul(split, plan.m * ld));
      function.emitLoop(kBegin, kEnd, plan.blockK, [&](Value k0) {
        Value length = minimum(arith::SubIOp::create(b, kEnd, k0), plan.blockK);
        emitPackSlabA(function, plan, operandA, k0, length, row0, row1, scratch, slabA);
        MatrixView panelView{panels, {}, plan.panelWidth, 1};
        int64_t panelStride = plan.k * plan.panelWidth;
        if (plan.localPanels) {
          emitPackSlabB(function, plan, operandB, k0, length, panel0, panel1, scratch, slabB);
          panelStride = plan.blockK * plan.panelWidth;
          panelView.memory = scratch;
          panelView.origin = slabB;
        } else {
          panelView.origin = function.add(function.mul(panel0, panelStride), function.mul(k0, plan.panelWidth));
        }
        Value overwrite;
        TileEnd tileEnd;
        if (rows)
          tileEnd = {rows.get(), row0, {}, {}};
        if (plan.splitLength > plan.blockK) {
          overwrite = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, k0, kBegin);
          tileEnd.last = isLast(k0, kEnd);
        }
        tileEnd.prefetch = [&](Value panel, Value row, Value step) { prefetchSlabs(k0, row0, panel0, getTileNumber(panel, row), step); };
        // A's slab: tiles of tileRows rows, blockK steps each.
        MatrixView a{scratch, slabA, 1, plan.tileRows};
        emitPanels(arith::SubIOp::create(b, row1, row0), getRaggedRows(), panel0, panel1, length, a, plan.blockK, panelView, panelStride,
                   MatrixView{output, origin, ld, 1}, direct, overwrite, [](Value, Value) {}, tileEnd);
      });
    });
    if (!direct && !plan.finishTiles)
      emitCombination();
  }

  /// Adds the partial C's in order, and runs the result region.
  void emitCombination() {
    Value output = plan.identityResult ? function.getMemory(op.getOutputs()[0]) : partialC;
    int64_t ld = plan.identityResult ? plan.n : plan.strideC;
    // An element-wise region adds up what it reads; others may read rows several times, and other blocks' rows.
    if (plan.splits > 1 && !plan.elementwiseResult)
      function.emitSharedLoop(0, plan.m, 1, [&](Value row) {
        Value from = function.mul(row, plan.strideC), to = function.mul(row, ld);
        auto addVector = [&](Value column, int64_t valid) {
          storeVector(function, sumPartials(function.add(from, column)), output, function.add(to, column), valid);
        };
        int64_t width = plan.identityResult ? plan.n : plan.paddedN, tail = width % plan.lanes;
        function.emitLoop(0, width - tail, plan.lanes, [&](Value column) { addVector(column, plan.lanes); });
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
    function.emitSharedLoop(0, plan.m, plan.resultBlock, [&](Value begin) {
      emitResult(*rows, begin, minimum(function.add(begin, plan.resultBlock), plan.m));
    });
  }

  /// Σ over the ranges of K, in order, of the vector (element) at `index` of the partial C's. A vector may end in the next row or range
  /// of K; the last one is followed by padding.
  Value sumPartials(Value index) {
    return sumParts(index, [&](Value at) { return loadVector(function, partialC, at, plan.lanes); });
  }
  Value sumScalars(Value index) {
    return sumParts(index, [&](Value at) -> Value { return memref::LoadOp::create(b, partialC, at); });
  }
  Value sumParts(Value index, llvm::function_ref<Value(Value)> load) {
    Value sum = load(index);
    for (int64_t split = 1; split < plan.splits; ++split)
      sum = arith::AddFOp::create(b, sum, load(function.add(index, split * plan.m * plan.strideC)));
    return sum;
  }

  Value isLast(Value k0, Value end) { return arith::CmpIOp::create(b, arith::CmpIPredicate::sge, function.add(k0, plan.blockK), end); }
  Value minimum(Value a, int64_t other) { return minimum(a, function.index(other)); }
  Value minimum(Value a, Value other) { return arith::MinSIOp::create(b, a, other); }

  kernel::GemmOp op;
  KernelFunction &function;
  ImplicitLocOpBuilder &b;
  const GemmPlan &plan;
  Type f32;
  Value operandA, operandB, panels, partialC, totals, scratch, scratchOrigin;
  Value tileSum; ///< What getTileSource gives.
};

} // namespace

LogicalResult emitKernel(kernel::GemmOp op, KernelFunction &function) {
  GemmPlan plan(op, function.getTarget());
  if (!plan.whyNot.empty())
    return op.emitOpError("cannot be generated for the CPU: ") << plan.whyNot;
  GemmEmitter(op, function, plan).emit();
  return success();
}

} // namespace smelt
