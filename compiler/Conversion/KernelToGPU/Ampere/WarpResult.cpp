//===- WarpResult.cpp - From a warp's accumulators to the results ---------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpResult.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

WarpResult::WarpResult(CodeBuilder &code, GPUFunction &function, kernel::GemmOp op,
                       const WarpGemmPlan &plan, const GPURowBuffer &raw)
    : code(code), plan(plan), region(code, op) {
  if (plan.isRaw()) {
    places.push_back(function.getPointer(raw.argument, raw.byteOffset));
    return;
  }
  for (auto [i, input] : llvm::enumerate(op.getResultInputs()))
    region.bindInput(i, function.getPointer(input));
  for (const GemmOutput &output : plan.outputs)
    places.push_back(function.getPointer(output.argument));
}

void WarpResult::begin() {
  if (!plan.isRaw())
    region.evaluateScalars();
}

Value WarpResult::getGroup(Value pointer, Type element, int64_t width, Value group) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  return group ? code.atElement(pointer, group, plan.m * width, code.i32(0), bytes) : pointer;
}

void WarpResult::run(const WarpTilePlace &tile, const FragmentThread &thread, CellValue product,
                     Value area, int blocks) {
  if (plan.isRaw())
    return storePairs(code, getGroup(places[0], code.f32Type(), plan.n, tile.group), code.f32Type(),
                      plan.m, plan.n, code.add(tile.row, thread.row),
                      code.add(tile.column, thread.pair), product, {2, blocks});
  region.storeBeside(findBeside(plan.outputs, places), code.add(tile.row, thread.row),
                     code.add(tile.column, thread.pair), tile.group, 2);
  for (const GemmRange &range : plan.ranges) {
    if (range.columns.offset == 0 && range.columns.width == plan.n) {
      runRange(range, tile, thread, product, area, blocks);
      continue;
    }
    Value isInside = code.less(code.sub(tile.column, range.columns.offset), range.columns.width);
    code.ifThen(isInside, [&] { runRange(range, tile, thread, product, area, blocks); });
  }
}

void WarpResult::runRange(const GemmRange &range, const WarpTilePlace &tile,
                          const FragmentThread &thread, CellValue product, Value area, int blocks) {
  int64_t width = range.columns.width;
  Value column = code.sub(tile.column, range.columns.offset);
  Value row = code.add(tile.row, thread.row), pair = code.add(column, thread.pair);
  region.beginTile(row, pair, product, tile.group);
  for (unsigned index : range.outputs) {
    const GemmOutput &output = plan.outputs[index];
    auto value = [&](Cell cell) { return region.get(output.tensor, cell); };
    Value pointer = getGroup(places[index], output.element, width, tile.group);
    if (output.heads)
      storeHeadNumbers(code, pointer, plan.m, output.heads, width / output.heads, row, pair, 0, 2,
                       [&](Cell cell) {
                         return region.getHeadSum(output.tensor.getDefiningOp<lm::RowDotOp>(),
                                                  cell);
                       });
    else if (area && output.isStaged)
      storeRows(pointer, width, tile, column, thread, area, value);
    else
      storePairs(code, pointer, output.element, plan.m, width, row, pair, value, {2, blocks});
  }
}

void WarpResult::storeRows(Value pointer, int64_t width, const WarpTilePlace &tile, Value column,
                           const FragmentThread &thread, Value area, CellValue value) {
  SharedTile rows{2 * tileColumns};
  WarpLine mine = WarpLine::get(code, rows, thread.lane);
  Value firstRow = code.add(code.add(tile.row, code.mul(thread.warpInGroup, 16)), mine.line);
  Value firstColumn = code.add(column, code.mul(mine.piece, 8));
  Value target = code.atElement(pointer, firstRow, width, firstColumn, 2);
  Value inColumns = width % tileColumns ? code.less(firstColumn, width) : Value();
  for (int m = 0; m < 2; ++m)
    storeWarpRows(
        code, area, rows, thread,
        [&](int n8, int h) { return code.packBF16(value({m, n8, h, 0}), value({m, n8, h, 1})); },
        [&](int64_t moved, Value words) {
          int64_t down = 64 * m + moved;
          Value inside = inColumns;
          if (plan.m % tileRows) {
            Value inRows = code.less(code.add(firstRow, down), plan.m);
            inside = inside ? code.logicalAnd(inside, inRows) : inRows;
          }
          auto store = [&] { code.store(words, code.at(target, down * width * 2), 16); };
          if (inside)
            code.ifThen(inside, store);
          else
            store();
        });
}
