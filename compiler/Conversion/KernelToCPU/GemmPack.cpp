//===- GemmPack.cpp - Rearranging matrices for the register tile ------------===//
#include "compiler/Conversion/KernelToCPU/GemmPack.h"
#include "compiler/Conversion/KernelToCPU/GemmTile.h"
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace smelt {
namespace {

Value getZeroVector(KernelFunction &function) {
  ImplicitLocOpBuilder &b = function.builder();
  return arith::ConstantOp::create(
      b, b.getZeroAttr(VectorType::get({function.getLanes()}, b.getF32Type())));
}

/// Calls `body(panel, columns)` for panels [first, last) (index): a loop over full panels, and the
/// ragged last one, if it is among them.
void forPanels(KernelFunction &function, const GemmPlan &plan, Value first, Value last,
               llvm::function_ref<void(Value, int64_t)> body) {
  ImplicitLocOpBuilder &b = function.builder();
  int64_t ragged = plan.n % plan.panelWidth;
  if (!ragged) {
    function.emitLoop(first, last, 1, [&](Value panel) { body(panel, plan.panelWidth); });
    return;
  }
  Value full = function.index(plan.panels - 1);
  Value fullEnd = arith::MinSIOp::create(b, last, full);
  function.emitLoop(first, fullEnd, 1, [&](Value panel) { body(panel, plan.panelWidth); });
  function.emitLoop(arith::MaxSIOp::create(b, first, full), last, 1,
                    [&](Value panel) { body(panel, ragged); });
}

/// Copies `columns` values at source[from] to slab[to], zero up to a panel's width.
void copyPanelRow(KernelFunction &function, const GemmPlan &plan, Value source, Value from,
                  int64_t columns, Value slab, Value to) {
  for (int64_t j = 0; j < plan.panelVectors; ++j) {
    int64_t valid = columns - j * plan.lanes;
    Value value = valid > 0
                      ? loadVector(function, source, function.add(from, j * plan.lanes), valid)
                      : getZeroVector(function);
    storeVector(function, value, slab, function.add(to, j * plan.lanes), plan.lanes);
  }
}

/// Transposes lanes x lanes values held as rows, by merging blocks of 1, 2, 4 … columns.
SmallVector<Value> transpose(KernelFunction &function, SmallVector<Value> rows) {
  ImplicitLocOpBuilder &b = function.builder();
  int64_t lanes = rows.size();
  for (int64_t block = 1; block < lanes; block *= 2) {
    SmallVector<Value> next(lanes);
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < lanes; ++i) {
      // Element i of the merged rows r and r + block: blocks of columns alternate between the two.
      bool second = (i / block) % 2;
      low.push_back(second ? lanes + i - block : i);
      high.push_back(second ? lanes + i : i + block);
    }
    for (int64_t i = 0; i < lanes; ++i) {
      if ((i / block) % 2)
        continue;
      next[i] = vector::ShuffleOp::create(b, rows[i], rows[i + block], low);
      next[i + block] = vector::ShuffleOp::create(b, rows[i], rows[i + block], high);
    }
    rows = std::move(next);
  }
  return rows;
}

/// Packs one panel of the B of a group, stored [n, K].
void packTransposedPanel(KernelFunction &function, const GemmPlan &plan, Value source, Value group,
                         Value panel, int64_t columns, Value panels) {
  Value row0 = function.add(function.mul(group, plan.n), function.mul(panel, plan.panelWidth)),
        origin = function.add(function.mul(group, plan.k * plan.paddedN),
                              function.mul(panel, plan.k * plan.panelWidth));
  auto packBlock = [&](Value k0, int64_t length) {
    for (int64_t j = 0; j < plan.panelVectors; ++j) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < plan.lanes; ++i) {
        int64_t column = j * plan.lanes + i;
        Value from = function.add(function.mul(function.add(row0, column), plan.k), k0);
        rows.push_back(column < columns ? loadVector(function, source, from, length)
                                        : getZeroVector(function));
      }
      rows = transpose(function, rows);
      Value to = function.add(origin, function.mul(k0, plan.panelWidth));
      for (int64_t i = 0; i < length; ++i)
        storeVector(function, rows[i], panels,
                    function.add(to, i * plan.panelWidth + j * plan.lanes), plan.lanes);
    }
  };
  int64_t tail = plan.k % plan.lanes;
  function.emitLoop(0, plan.k - tail, plan.lanes, [&](Value k0) { packBlock(k0, plan.lanes); });
  if (tail)
    packBlock(function.index(plan.k - tail), tail);
}

} // namespace

void emitPackAllPanels(KernelFunction &function, const GemmPlan &plan, Value source, Value panels) {
  ImplicitLocOpBuilder &b = function.builder();
  // Shares `count` turns of each group.
  auto forTurns = [&](int64_t count, llvm::function_ref<void(Value group, Value turn)> body) {
    function.emitSharedLoop(0, plan.groups * count, 1, [&](Value item) {
      if (plan.groups == 1)
        return body(function.index(0), item);
      body(arith::DivUIOp::create(b, item, function.index(count)),
           arith::RemUIOp::create(b, item, function.index(count)));
    });
  };
  if (plan.transposeB) {
    forTurns(plan.panels, [&](Value group, Value panel) {
      forPanels(function, plan, panel, function.add(panel, 1), [&](Value same, int64_t columns) {
        packTransposedPanel(function, plan, source, group, same, columns, panels);
      });
    });
    return;
  }
  /// Row `row` of B, which is step `step` of the panels at `origin`.
  auto packPanels = [&](Value row, Value step, Value origin, Value first, Value last) {
    forPanels(function, plan, first, last, [&](Value panel, int64_t columns) {
      Value from = function.add(function.mul(row, plan.n), function.mul(panel, plan.panelWidth));
      Value to = function.add(function.mul(panel, plan.k * plan.panelWidth),
                              function.mul(step, plan.panelWidth));
      copyPanelRow(function, plan, source, from, columns, panels, function.add(origin, to));
    });
  };
  if (plan.columnGroups > 1) {
    // By panels, so that threads pack what they multiply with; a few at a time, for longer reads.
    int64_t panelsPerTurn = plan.panelsPerGroup % 4 ? 1 : 4;
    function.emitSharedLoop(0, plan.panels, panelsPerTurn, [&](Value panel) {
      function.emitLoop(0, plan.k, 1, [&](Value step) {
        packPanels(step, step, function.index(0), panel, function.add(panel, panelsPerTurn));
      });
    });
    return;
  }
  constexpr int64_t rowsPerTurn = 16;
  forTurns(llvm::divideCeil(plan.k, rowsPerTurn), [&](Value group, Value turn) {
    Value k0 = function.mul(turn, rowsPerTurn), origin = function.mul(group, plan.k * plan.paddedN);
    Value end = arith::MinSIOp::create(b, function.add(k0, rowsPerTurn), function.index(plan.k));
    function.emitLoop(k0, end, 1, [&](Value step) {
      packPanels(function.add(function.mul(group, plan.k), step), step, origin, function.index(0),
                 function.index(plan.panels));
    });
  });
}

void emitPackSlabB(KernelFunction &function, const GemmPlan &plan, Value source, Value k0,
                   Value length, Value panel0, Value panel1, Value slab, Value slabOrigin) {
  ImplicitLocOpBuilder &b = function.builder();
  function.emitLoop(function.index(0), length, 1, [&](Value step) {
    Value row = function.mul(function.add(k0, step), plan.n);
    forPanels(function, plan, panel0, panel1, [&](Value panel, int64_t columns) {
      Value from = function.add(row, function.mul(panel, plan.panelWidth));
      Value local = arith::SubIOp::create(b, panel, panel0);
      Value to =
          function.add(slabOrigin, function.add(function.mul(local, plan.blockK * plan.panelWidth),
                                                function.mul(step, plan.panelWidth)));
      copyPanelRow(function, plan, source, from, columns, slab, to);
    });
  });
}

void emitPackSlabA(KernelFunction &function, const GemmPlan &plan, Value source, Value k0,
                   Value length, Value row0, Value row1, Value slab, Value slabOrigin) {
  ImplicitLocOpBuilder &b = function.builder();
  int64_t tail = plan.m % plan.tileRows;
  function.emitLoop(function.index(0), length, 1, [&](Value step) {
    Value from = function.add(function.mul(function.add(k0, step), plan.m), function.index(0));
    Value to = function.add(slabOrigin, function.mul(step, plan.tileRows));
    auto copyTile = [&](Value row, int64_t rows) {
      auto type = VectorType::get({rows}, b.getF32Type());
      Value local = arith::SubIOp::create(b, row, row0);
      Value value = loadNumbers(b, b.getLoc(), type, source, function.add(from, row));
      // Tile number · blockK · tileRows, and the tile number is local / tileRows.
      vector::StoreOp::create(b, value, slab, function.add(to, function.mul(local, plan.blockK)));
    };
    Value full = row1;
    if (tail)
      full = arith::MinSIOp::create(b, row1, function.index(plan.m - tail));
    function.emitLoop(row0, full, plan.tileRows, [&](Value row) { copyTile(row, plan.tileRows); });
    if (tail)
      function.emitLoop(arith::MaxSIOp::create(b, row0, function.index(plan.m - tail)), row1, tail,
                        [&](Value row) { copyTile(row, tail); });
  });
}

void emitMirror(KernelFunction &function, const GemmPlan &plan, Value matrix, Value origin,
                Value row0, Value row1) {
  function.emitLoop(row0, row1, plan.lanes, [&](Value row) {
    function.emitLoop(function.index(0), row0, plan.lanes, [&](Value column) {
      auto element = [&](Value i, int64_t offset, Value j) {
        return function.add(function.add(origin, function.mul(function.add(i, offset), plan.n)),
                            j);
      };
      SmallVector<Value> block;
      for (int64_t i = 0; i < plan.lanes; ++i)
        block.push_back(loadVector(function, matrix, element(column, i, row), plan.lanes));
      block = transpose(function, block);
      for (int64_t i = 0; i < plan.lanes; ++i)
        storeVector(function, block[i], matrix, element(row, i, column), plan.lanes);
    });
  });
}

} // namespace smelt
