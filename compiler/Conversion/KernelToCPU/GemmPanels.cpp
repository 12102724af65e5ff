//===- GemmPanels.cpp - Products of blocks with panels --------------------===//
#include "compiler/Conversion/KernelToCPU/GemmEmitter.h"

using namespace mlir;

namespace smelt {

void GemmEmitter::setFinish(GemmTile &tile, const TileEnd &end, Value panel, bool whole,
                            Value row) {
  tile.last = end.last;
  tile.finish = [=, this, rows = end.rows](int64_t i, int64_t j, Value sum) {
    int64_t offset = j * plan.lanes, raggedFirst = (plan.panels - 1) * plan.panelWidth + offset;
    if (!whole && raggedFirst >= plan.n)
      return;
    FeatureChunk chunk =
        whole ? FeatureChunk::at(function.mul(panel, plan.panelWidth), plan.panelWidth, offset,
                                 offset, plan.n, plan.lanes)
              : FeatureChunk::at(raggedFirst, std::min(plan.lanes, plan.n - raggedFirst));
    rows->startRow();
    tileSum = sum;
    rows->emitChunk(function.add(row, i), chunk);
    tileSum = {};
  };
}

RowSource GemmEmitter::getTileSource() {
  return {{}, {}, plan.n, [this](OpBuilder &, Location, Value, const FeatureChunk &) {
            return tileSum;
          }};
}

void GemmEmitter::emitPanels(Value rows, int64_t ragged, Value panel0, Value panel1, Value length,
                             MatrixView a, int64_t aTileStride, MatrixView b0, int64_t bPanelStride,
                             MatrixView c, bool maskC, Value overwrite,
                             llvm::function_ref<void(Value panel, Value row)> beforeTile,
                             const TileEnd &end) {
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
    tile.c.origin = function.add(function.add(c.origin, function.mul(row, c.rowStride)),
                                 function.mul(local, plan.panelWidth));
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
    function.emitLoop(function.index(0), wholeRows, plan.tileRows,
                      [&](Value row) { emitTile(panel, columns, whole, row, plan.tileRows); });
    if (ragged >= 0)
      function.emitLoop(wholeRows, rows, std::max<int64_t>(ragged, 1), [&](Value row) {
        emitTile(panel, columns, whole, row, std::max<int64_t>(ragged, 1));
      });
  };
  // Columns of the last panel: what C has, or with a padded C whole vectors.
  int64_t last = plan.n - (plan.panels - 1) * plan.panelWidth;
  if (!maskC)
    last = llvm::alignTo(last, plan.lanes);
  // A result region must see which columns exist, even where C is padded to a whole panel.
  if (last == plan.panelWidth && (!end.rows || plan.n % plan.panelWidth == 0)) {
    function.emitLoop(panel0, panel1, 1,
                      [&](Value panel) { emitPanel(panel, plan.panelWidth, /*whole=*/true); });
    return;
  }
  Value full = function.index(plan.panels - 1);
  function.emitLoop(panel0, minimum(panel1, full), 1,
                    [&](Value panel) { emitPanel(panel, plan.panelWidth, /*whole=*/true); });
  function.emitLoop(arith::MaxSIOp::create(b, panel0, full), panel1, 1,
                    [&](Value panel) { emitPanel(panel, last, /*whole=*/false); });
}

} // namespace smelt
