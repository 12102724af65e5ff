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

class GemmEmitter {
public:
  GemmEmitter(kernel::GemmOp op, KernelFunction &function, const GemmPlan &plan)
      : op(op), function(function), b(function.builder()), plan(plan), f32(function.builder().getF32Type()) {}

  void emit() {
    if (plan.splitK && (plan.splits > 1 || !plan.identityResult))
      partialC = function.getWorkspace(plan.partialCOffset, plan.splits * plan.m * plan.paddedN, f32);
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

  //===- The product --------------------------------------------------------===//

  /// Rows [0, rows) of C at `c`, panels [panel0, panel1), `length` steps of K. `ragged`: rows % tileRows if not 0; 0 if unknown.
  void emitPanels(Value rows, int64_t ragged, Value panel0, Value panel1, Value length, MatrixView a, int64_t aTileStride, MatrixView b0,
                  int64_t bPanelStride, MatrixView c, bool maskC, Value overwrite) {
    int64_t lengthMultiple = plan.k % 4 == 0 ? 4 : 1;
    auto emitTile = [&](Value panel, int64_t columns, Value row, int64_t tileRows) {
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
      emitGemmTile(function, tile);
    };
    auto emitPanel = [&](Value panel, int64_t columns) {
      Value rest = arith::RemUIOp::create(b, rows, function.index(plan.tileRows));
      Value whole = arith::SubIOp::create(b, rows, rest);
      function.emitLoop(function.index(0), whole, plan.tileRows, [&](Value row) { emitTile(panel, columns, row, plan.tileRows); });
      if (ragged >= 0)
        function.emitLoop(whole, rows, std::max<int64_t>(ragged, 1), [&](Value row) { emitTile(panel, columns, row, std::max<int64_t>(ragged, 1)); });
    };
    // Columns of the last panel: what C has, or with a padded C whole vectors.
    int64_t last = plan.n - (plan.panels - 1) * plan.panelWidth;
    if (!maskC)
      last = llvm::alignTo(last, plan.lanes);
    if (last == plan.panelWidth) {
      function.emitLoop(panel0, panel1, 1, [&](Value panel) { emitPanel(panel, plan.panelWidth); });
      return;
    }
    Value full = function.index(plan.panels - 1);
    function.emitLoop(panel0, minimum(panel1, full), 1, [&](Value panel) { emitPanel(panel, plan.panelWidth); });
    function.emitLoop(arith::MaxSIOp::create(b, panel0, full), panel1, 1, [&](Value panel) { emitPanel(panel, last); });
  }

  /// What emitPanels wants as `ragged` for blocks of C whose rows end at m; -1 if there is no remainder.
  int64_t getRaggedRows() const { return plan.m % plan.tileRows ? plan.m % plan.tileRows : -1; }

  void emitRows() {
    int64_t before = plan.reach.before, after = plan.reach.after;
    bool halo = before || after;
    Value scratchA = scratchOrigin, scratchC = scratchOrigin;
    if (plan.scratchA && plan.scratchC)
      scratchC = function.add(scratchOrigin, plan.scratchA);
    // Constructed here so that what all rows share, stack memory included, stays out of the loop. The rows of a block lie in scratch
    // from `low` on, a value of the loop: only the code that moves rows sees it.
    Value low;
    std::unique_ptr<RowEmitter> rowsA, rowsC;
    if (!plan.identityA)
      rowsA = std::make_unique<RowEmitter>(plan.programA, b, b.getLoc(), getSources(0, plan.programA, {}),
                                           RowSink{{}, {}, plan.k, [&](OpBuilder &, Location, Value row, const FeatureChunk &chunk, Value value) {
                                                     storeChunk(getScratchIndex(scratchA, low, row, plan.k, chunk), chunk, value);
                                                   }});
    if (!plan.identityResult)
      rowsC = makeResultEmitter({{}, {}, plan.paddedN, [&](OpBuilder &, Location, Value row, const FeatureChunk &chunk) {
                                   return loadChunk(getScratchIndex(scratchC, low, row, plan.paddedN, chunk), chunk);
                                 }});

    function.emitSharedLoop(0, plan.m, plan.blockM, [&](Value begin) {
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
        a.memory = scratch;
        a.origin = scratchA;
        rowsA->emitRows(low, high);
      }
      MatrixView c{scratch, scratchC, plan.paddedN, 1};
      if (plan.identityResult)
        c = {function.getMemory(op.getOutputs()[0]), function.mul(begin, plan.n), plan.n, 1};
      function.emitLoop(0, plan.k, plan.blockK, [&](Value k0) {
        Value length = minimum(arith::SubIOp::create(b, function.index(plan.k), k0), plan.blockK);
        MatrixView aHere = a, panelView{panels, function.mul(k0, plan.panelWidth), plan.panelWidth, 1};
        aHere.origin = function.add(a.origin, k0);
        Value overwrite;
        if (plan.k > plan.blockK)
          overwrite = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, k0, function.index(0));
        emitPanels(count, halo ? 0 : getRaggedRows(), function.index(0), function.index(plan.panels), length, aHere, plan.k, panelView,
                   plan.k * plan.panelWidth, c, plan.identityResult, overwrite);
      });
      if (plan.identityResult)
        return;
      emitResult(*rowsC, begin, end);
    });
  }

  void emitSplitK() {
    bool direct = !partialC;
    Value output = direct ? function.getMemory(op.getOutputs()[0]) : partialC;
    int64_t ld = direct ? plan.n : plan.paddedN;
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
        if (plan.splitLength > plan.blockK)
          overwrite = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, k0, kBegin);
        // A's slab: tiles of tileRows rows, blockK steps each.
        MatrixView a{scratch, slabA, 1, plan.tileRows};
        emitPanels(arith::SubIOp::create(b, row1, row0), getRaggedRows(), panel0, panel1, length, a, plan.blockK, panelView, panelStride,
                   MatrixView{output, origin, ld, 1}, direct, overwrite);
      });
    });
    if (!direct)
      emitCombination();
  }

  /// Adds the partial C's in order, and runs the result region.
  void emitCombination() {
    int64_t size = plan.m * plan.paddedN;
    Value output = plan.identityResult ? function.getMemory(op.getOutputs()[0]) : partialC;
    int64_t ld = plan.identityResult ? plan.n : plan.paddedN;
    if (plan.splits > 1)
      function.emitSharedLoop(0, plan.m, 1, [&](Value row) {
        Value from = function.mul(row, plan.paddedN), to = function.mul(row, ld);
        auto addVector = [&](Value column, int64_t valid) {
          Value sum;
          for (int64_t split = 0; split < plan.splits; ++split) {
            Value part = loadVector(function, partialC, function.add(function.add(from, split * size), column), plan.lanes);
            sum = split ? arith::AddFOp::create(b, sum, part).getResult() : part;
          }
          storeVector(function, sum, output, function.add(to, column), valid);
        };
        int64_t width = plan.identityResult ? plan.n : plan.paddedN, tail = width % plan.lanes;
        function.emitLoop(0, width - tail, plan.lanes, [&](Value column) { addVector(column, plan.lanes); });
        if (tail)
          addVector(function.index(width - tail), tail);
      });
    if (plan.identityResult)
      return;
    auto rows = makeResultEmitter({partialC, {}, plan.paddedN, {}});
    function.emitSharedLoop(0, plan.m, plan.resultBlock, [&](Value begin) {
      emitResult(*rows, begin, minimum(function.add(begin, plan.resultBlock), plan.m));
    });
  }

  Value minimum(Value a, int64_t other) { return minimum(a, function.index(other)); }
  Value minimum(Value a, Value other) { return arith::MinSIOp::create(b, a, other); }

  kernel::GemmOp op;
  KernelFunction &function;
  ImplicitLocOpBuilder &b;
  const GemmPlan &plan;
  Type f32;
  Value operandA, operandB, panels, partialC, totals, scratch, scratchOrigin;
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
